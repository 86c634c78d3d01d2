"""Whether anybody has treated a patient."""
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_index("care_relation_by_patient", "care_relation", ["patient_id"])
