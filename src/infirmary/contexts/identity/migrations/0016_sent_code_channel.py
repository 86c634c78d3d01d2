"""By which channel a code was sent."""
import sqlalchemy as sa

from infirmary.kernel.database.migrate import add_column

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    add_column("sent_code", sa.Column("channel", sa.String(length=20), nullable=False, server_default="email"))
