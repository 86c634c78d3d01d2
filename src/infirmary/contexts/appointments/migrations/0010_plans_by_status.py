"""Which plans are at work."""
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_index("move_plan_by_status", "move_plan", ["status"], unique=False)
