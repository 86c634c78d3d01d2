"""How many visits may be booked over others."""
import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("hours", sa.Column("overbook", sa.Integer(), nullable=False, server_default="0"))
