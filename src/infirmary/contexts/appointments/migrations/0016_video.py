"""Whether a doctor sees patients by video: so far all did."""
import sqlalchemy as sa

from infirmary.kernel.database.migrate import add_column

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    add_column("schedule", sa.Column("video", sa.Boolean(), server_default="1", nullable=False))
