"""The visits of a series."""
from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    op.create_index("appointment_of_series", "appointment", ["series_id"], unique=False)
