"""Who is in the room of a video visit."""
import sqlalchemy as sa
from alembic import op

from infirmary.kernel.database.columns import Id, UtcDateTime

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.create_table("video_presence",
        sa.Column("appointment_id", Id(), nullable=False),
        sa.Column("side", sa.String(length=40), nullable=False),
        sa.Column("client_id", Id(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("appointment_id", "side")
    )
