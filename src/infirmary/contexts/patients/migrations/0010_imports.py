"""Tables of people that are to be entered."""
import sqlalchemy as sa
from alembic import op

from infirmary.kernel.database.columns import Id, Json, UtcDateTime

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table("patient_import",
        sa.Column("id", Id(), nullable=False),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("columns", Json(), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("by_account", Id(), nullable=False),
        sa.Column("by_name", sa.String(length=255), nullable=False),
        sa.Column("by_roles", Json(), nullable=False),
        sa.Column("forgotten_at", UtcDateTime(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest", name="patient_import_digest"),
        sa.Index("patient_import_by_status", "status")
    )
