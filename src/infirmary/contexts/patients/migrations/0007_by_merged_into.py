"""Which records point to one."""
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_index("patient_by_merged_into", "patient", ["merged_into"], unique=False)
