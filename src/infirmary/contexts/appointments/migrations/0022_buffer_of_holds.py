"""The break that belongs to a hold."""
import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.add_column("hold", sa.Column("buffer_minutes", sa.Integer(), nullable=False, server_default="0"))
