"""Where a code was sent."""
import sqlalchemy as sa

from infirmary.kernel.database.migrate import add_column

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    add_column("sent_code", sa.Column("address", sa.String(length=254), nullable=True))
