"""Which account went with a record that was merged into another one."""
import sqlalchemy as sa
from alembic import op

from infirmary.kernel.database.columns import Id

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table("merged_record",
        sa.Column("patient_id", Id(), nullable=False),
        sa.Column("account_id", Id(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("patient_id")
    )
