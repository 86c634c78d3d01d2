"""Queues that are open."""
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_index("queue_line_by_closed", "queue_line", ["closed", "day"], unique=False)
