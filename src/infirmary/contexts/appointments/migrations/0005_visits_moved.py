"""Which visits were moved to another record, and whose they were."""
import sqlalchemy as sa
from alembic import op

from infirmary.kernel.database.columns import Id

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table("moved_visit",
        sa.Column("appointment_id", Id(), nullable=False),
        sa.Column("patient_id", Id(), nullable=False),
        sa.PrimaryKeyConstraint("appointment_id"),
        sa.Index("moved_visit_of_patient", "patient_id", "appointment_id")
    )
