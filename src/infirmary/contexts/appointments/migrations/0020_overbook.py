"""How many visits may be booked over others."""
import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.add_column("schedule", sa.Column("overbook", sa.Integer(), nullable=False, server_default="0"))
