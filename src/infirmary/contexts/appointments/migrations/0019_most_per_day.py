"""How many visits a doctor takes on a day."""
import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.add_column("schedule", sa.Column("most_per_day", sa.Integer(), nullable=True))
