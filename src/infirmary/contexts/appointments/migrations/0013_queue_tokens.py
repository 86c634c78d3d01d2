"""Numbers in a queue, each given once."""
import sqlalchemy as sa
from alembic import op

from infirmary.kernel.database.columns import Id, UtcDateTime

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table("queue_token",
        sa.Column("id", Id(), nullable=False),
        sa.Column("line_id", Id(), nullable=False),
        sa.Column("department_id", Id(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("patient_id", Id(), nullable=False),
        sa.Column("patient_name", sa.String(length=220), nullable=False),
        sa.Column("doctor_id", Id(), nullable=True),
        sa.Column("doctor_name", sa.String(length=220), nullable=False),
        sa.Column("booked_at", UtcDateTime(), nullable=True),
        sa.Column("precedence", sa.String(length=40), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("open_about", Id(), nullable=True),
        sa.Column("arrived_at", UtcDateTime(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("called_at", UtcDateTime(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("room", sa.String(length=200), nullable=False),
        sa.Column("appointment_id", Id(), nullable=True),
        sa.Column("link", sa.String(length=64), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("line_id", "number", name="queue_token_line_id_number"),
        sa.UniqueConstraint("line_id", "open_about", name="queue_token_line_id_open_about"),
        sa.UniqueConstraint("link", name="queue_token_link")
    )
