"""Why a visit is booked over another."""
import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.add_column("appointment", sa.Column("overbooked", sa.String(length=40), nullable=True))
