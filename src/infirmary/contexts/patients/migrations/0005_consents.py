"""What was agreed to, and when it no longer was."""
import sqlalchemy as sa
from alembic import op

from infirmary.kernel.database.columns import Id, UtcDateTime

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table("consent",
        sa.Column("patient_id", Id(), nullable=False),
        sa.Column("purpose", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("decision", sa.String(length=40), nullable=False),
        sa.Column("text_version", sa.String(length=20), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("by_account", Id(), nullable=True),
        sa.Column("by_name", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("patient_id", "purpose", "number")
    )
