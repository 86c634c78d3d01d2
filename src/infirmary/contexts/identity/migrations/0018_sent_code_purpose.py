"""What a sent code is good for."""
import sqlalchemy as sa

from infirmary.kernel.database.migrate import add_column

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    add_column("sent_code", sa.Column("purpose", sa.String(length=20), nullable=False, server_default="sign_in"))
