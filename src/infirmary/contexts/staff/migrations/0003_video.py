"""Whether a doctor sees patients by video: so far all did."""
import sqlalchemy as sa

from infirmary.kernel.database.migrate import add_column

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    add_column("hours", sa.Column("video", sa.Boolean(), server_default="1", nullable=False))
