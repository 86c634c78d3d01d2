"""What visits took lately."""
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_index("queue_token_by_end", "queue_token", ["department_id", "status", "ended_at"], unique=False)
