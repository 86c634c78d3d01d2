"""What patients say, by day."""
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_index("answer_by_day", "answer", ["day"], unique=False)
