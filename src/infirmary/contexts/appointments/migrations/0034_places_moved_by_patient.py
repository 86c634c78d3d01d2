"""They are looked up by the record that stands by itself again."""
from alembic import op

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    op.create_index("moved_place_of_patient", "moved_place", ["patient_id", "id"], unique=False)
