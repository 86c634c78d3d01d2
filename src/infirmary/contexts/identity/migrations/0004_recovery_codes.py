"""Codes for those who have lost the authenticator app."""
import sqlalchemy as sa
from alembic import op

from infirmary.kernel.database.columns import Id, UtcDateTime

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table("recovery_code",
        sa.Column("account_id", Id(), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("used_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.PrimaryKeyConstraint("account_id", "code_hash")
    )
