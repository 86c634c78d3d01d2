"""Which series a visit belongs to."""
import sqlalchemy as sa

from infirmary.kernel.database.columns import Id
from infirmary.kernel.database.migrate import add_column

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    add_column("appointment", sa.Column("series_id", Id(), nullable=True))
