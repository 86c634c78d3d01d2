"""Who waits, longest first."""
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_index("waiting_by_status", "waiting", ["status", "created_at", "id"], unique=False)
