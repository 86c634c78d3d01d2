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
    op.create_table("department",
        sa.Column("id", Id(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id")
    )
    op.create_table("inbox",
        sa.Column("fact_id", Id(), nullable=False),
        sa.Column("handled_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("fact_id")
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
    op.create_table("registration",
        sa.Column("patient_id", Id(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("patient_id")
    )
    op.create_index(op.f("ix_registration_day"), "registration", ["day"], unique=False)
    op.create_table("visit",
        sa.Column("visit_id", Id(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("department_id", Id(), nullable=False),
        sa.Column("department_name", sa.String(length=100), nullable=False),
        sa.Column("doctor_id", Id(), nullable=False),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("starts_at", UtcDateTime(), nullable=False),
        sa.Column("checked_in_at", UtcDateTime(), nullable=True),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("visit_id")
    )
    op.create_index("visit_by_day", "visit", ["day", "department_id", "status"], unique=False)
    op.create_index("visit_by_month", "visit", ["month", "day", "status"], unique=False)
