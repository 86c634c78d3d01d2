"""Places on the waitlist."""
import sqlalchemy as sa
from alembic import op

from infirmary.kernel.database.columns import Id, UtcDateTime

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table("waiting",
        sa.Column("id", Id(), nullable=False),
        sa.Column("patient_id", Id(), nullable=False),
        sa.Column("patient_name", sa.String(length=220), nullable=False),
        sa.Column("doctor_id", Id(), nullable=True),
        sa.Column("department_id", Id(), nullable=True),
        sa.Column("about_name", sa.String(length=220), nullable=False),
        sa.Column("earliest", UtcDateTime(), nullable=False),
        sa.Column("latest", UtcDateTime(), nullable=False),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("open_about", Id(), nullable=True),
        sa.Column("offer_doctor_id", Id(), nullable=True),
        sa.Column("offer_doctor_name", sa.String(length=220), nullable=False),
        sa.Column("offer_starts_at", UtcDateTime(), nullable=True),
        sa.Column("offer_ends_at", UtcDateTime(), nullable=True),
        sa.Column("offer_expires_at", UtcDateTime(), nullable=True),
        sa.Column("appointment_id", Id(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("patient_id", "open_about", name="waiting_patient_id_open_about")
    )
