"""Who and what takes part in a visit."""
import sqlalchemy as sa

from infirmary.kernel.database.columns import Json
from infirmary.kernel.database.migrate import add_column

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    add_column("appointment", sa.Column("participants", Json(), nullable=False, server_default=sa.text("('[]')")))
