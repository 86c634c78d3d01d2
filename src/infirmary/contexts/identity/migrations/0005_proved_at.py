"""When the password was last given in a session."""
import sqlalchemy as sa
from alembic import op

from infirmary.kernel.database.columns import UtcDateTime

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("session", sa.Column("proved_at", UtcDateTime(), nullable=True))
