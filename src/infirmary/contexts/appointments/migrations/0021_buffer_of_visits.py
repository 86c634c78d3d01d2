"""The break that belongs to a visit."""
import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.add_column("appointment", sa.Column("buffer_minutes", sa.Integer(), nullable=False, server_default="0"))
