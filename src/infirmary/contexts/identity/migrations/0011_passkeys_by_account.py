"""Whose passkeys."""
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_index(op.f("ix_passkey_account_id"), "passkey", ["account_id"], unique=False)
