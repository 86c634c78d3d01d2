"""How many visits a doctor takes on a day."""
import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("hours", sa.Column("most_per_day", sa.Integer(), nullable=True))
