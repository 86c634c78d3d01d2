"""Challenges that were answered with a passkey: each is good once."""
import sqlalchemy as sa
from alembic import op

from infirmary.kernel.database.columns import UtcDateTime

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table("spent_challenge",
        sa.Column("challenge_hash", sa.String(length=64), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("challenge_hash")
    )
