"""A record may point to another one of the same person."""
import sqlalchemy as sa
from alembic import op

from infirmary.kernel.database.columns import Id

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("patient", sa.Column("merged_into", Id(), nullable=True))
