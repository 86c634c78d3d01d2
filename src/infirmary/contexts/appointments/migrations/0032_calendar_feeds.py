"""Links to private calendar feeds."""
import sqlalchemy as sa
from alembic import op

from infirmary.kernel.database.columns import Id, UtcDateTime

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    op.create_table("calendar_feed",
        sa.Column("account_id", Id(), nullable=False),
        sa.Column("patient_id", Id(), nullable=True),
        sa.Column("doctor_id", Id(), nullable=True),
        sa.Column("link", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("read_at", UtcDateTime(), nullable=True),
        sa.Column("reads", sa.Integer(), nullable=False),
        sa.Column("window_ends", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("account_id"),
        sa.UniqueConstraint("link", name="calendar_feed_link")
    )
