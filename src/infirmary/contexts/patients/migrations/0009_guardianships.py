"""Who stands for whom, by what right, and until when."""
import sqlalchemy as sa
from alembic import op

from infirmary.kernel.database.columns import Id, UtcDateTime

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table("guardianship",
        sa.Column("id", Id(), nullable=False),
        sa.Column("ward_id", Id(), nullable=False),
        sa.Column("guardian_id", Id(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("of_child", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("document", sa.String(length=200), nullable=False),
        sa.Column("made_at", UtcDateTime(), nullable=False),
        sa.Column("made_by", sa.String(length=255), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("ended_by", sa.String(length=255), nullable=False),
        sa.Column("end_reason", sa.String(length=500), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.Index("guardianship_by_ward", "ward_id", "id"),
        sa.Index("guardianship_by_guardian", "guardian_id", "id")
    )
