"""first tables."""
import sqlalchemy as sa
from alembic import op

from infirmary.kernel.database.columns import Id, Json, UtcDateTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table("answered",
        sa.Column("principal", Id(), nullable=False),
        sa.Column("operation", sa.String(length=80), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("answer", Json(), nullable=True),
        sa.Column("answered_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("principal", "operation", "key")
    )
    op.create_index("answered_answered_at", "answered", ["answered_at"], unique=False)
    op.create_table("appointment",
        sa.Column("id", Id(), nullable=False),
        sa.Column("patient_id", Id(), nullable=False),
        sa.Column("patient_name", sa.String(length=220), nullable=False),
        sa.Column("doctor_id", Id(), nullable=False),
        sa.Column("doctor_name", sa.String(length=220), nullable=False),
        sa.Column("department_id", Id(), nullable=False),
        sa.Column("department_name", sa.String(length=100), nullable=False),
        sa.Column("starts_at", UtcDateTime(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=False),
        sa.Column("local_start", sa.String(length=32), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("mode", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("status_reason", sa.String(length=500), nullable=False),
        sa.Column("location", sa.String(length=200), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", Id(), nullable=True),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id")
    )
    op.create_index("appointment_by_start", "appointment", ["starts_at", "id"], unique=False)
    op.create_index("appointment_of_doctor", "appointment", ["doctor_id", "starts_at", "id"], unique=False)
    op.create_index("appointment_of_patient", "appointment", ["patient_id", "starts_at", "id"], unique=False)
    op.create_table("inbox",
        sa.Column("fact_id", Id(), nullable=False),
        sa.Column("handled_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("fact_id")
    )
    op.create_table("occupancy",
        sa.Column("resource_id", Id(), nullable=False),
        sa.Column("grain", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("lane", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("appointment_id", Id(), nullable=False),
        sa.PrimaryKeyConstraint("resource_id", "grain", "lane"),
        sqlite_with_rowid=False
    )
    op.create_table("outbox",
        sa.Column("id", Id(), nullable=False),
        sa.Column("kind", sa.String(length=80), nullable=False),
        sa.Column("aggregate", Id(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", Json(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("happened_at", UtcDateTime(), nullable=False),
        sa.Column("published_at", UtcDateTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("aggregate", "version", name="outbox_aggregate_version")
    )
    op.create_index("outbox_unpublished", "outbox", ["published_at", "id"], unique=False)
    op.create_table("parked",
        sa.Column("id", Id(), nullable=False),
        sa.Column("kind", sa.String(length=80), nullable=False),
        sa.Column("aggregate", Id(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", Json(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("happened_at", UtcDateTime(), nullable=False),
        sa.Column("parked_at", UtcDateTime(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id")
    )
    op.create_table("schedule",
        sa.Column("doctor_id", Id(), nullable=False),
        sa.Column("doctor_name", sa.String(length=220), nullable=False),
        sa.Column("specialty", sa.String(length=100), nullable=False),
        sa.Column("room", sa.String(length=200), nullable=False),
        sa.Column("department_id", Id(), nullable=False),
        sa.Column("department_name", sa.String(length=100), nullable=False),
        sa.Column("accepts_first", sa.Boolean(), nullable=False),
        sa.Column("visit_minutes", sa.Integer(), nullable=False),
        sa.Column("buffer_minutes", sa.Integer(), nullable=False),
        sa.Column("weekly", Json(), nullable=False),
        sa.Column("away", Json(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("doctor_id")
    )
    op.create_index(op.f("ix_schedule_department_id"), "schedule", ["department_id"], unique=False)
    op.create_table("step",
        sa.Column("appointment_id", Id(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("by_name", sa.String(length=220), nullable=False),
        sa.Column("by_account", Id(), nullable=True),
        sa.Column("starts_at", UtcDateTime(), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.PrimaryKeyConstraint("appointment_id", "version")
    )
