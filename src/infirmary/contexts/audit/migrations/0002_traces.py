"""Facts say which span of a trace announced them."""
import sqlalchemy as sa

from infirmary.kernel.database.migrate import add_column

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    add_column("outbox", sa.Column("traceparent", sa.String(length=55), nullable=True))
    add_column("parked", sa.Column("traceparent", sa.String(length=55), nullable=True))
