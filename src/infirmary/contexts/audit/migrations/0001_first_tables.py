"""first tables."""
import sqlalchemy as sa
from alembic import op

from infirmary.kernel.database.columns import Id, Json, UtcDateTime

revision = "0001"
down_revision = None

# Entries are written once: whoever has the application's password, and no more, can neither change nor remove one.
ONLY_GROWS = {
    "sqlite": [f"""
        CREATE TRIGGER audit_event_no_{what.lower()} BEFORE {what} ON audit_event
        BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END""" for what in ("UPDATE", "DELETE")],
    "mysql": [f"""
        CREATE TRIGGER audit_event_no_{what.lower()} BEFORE {what} ON audit_event FOR EACH ROW
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the audit trail only grows'""" for what in ("UPDATE", "DELETE")],
    "postgresql": ["""
        CREATE FUNCTION audit_event_only_grows() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'the audit trail only grows'; END $$""", """
        CREATE TRIGGER audit_event_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_event
        FOR EACH STATEMENT EXECUTE FUNCTION audit_event_only_grows()"""],
}


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
    op.create_table("audit_event",
        sa.Column("id", Id(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("context", sa.String(length=40), nullable=False),
        sa.Column("action", sa.String(length=80), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("actor_id", Id(), nullable=True),
        sa.Column("actor_name", sa.String(length=250), nullable=False),
        sa.Column("actor_roles", Json(), nullable=False),
        sa.Column("patient_id", Id(), nullable=True),
        sa.Column("entity", sa.String(length=191), nullable=False),
        sa.Column("detail", Json(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("actor_key", sa.String(length=191), nullable=False),
        sa.PrimaryKeyConstraint("id")
    )
    op.create_index("audit_event_by_action", "audit_event", ["action", "at", "id"], unique=False)
    op.create_index("audit_event_by_actor", "audit_event", ["actor_id", "at", "id"], unique=False)
    op.create_index("audit_event_by_entity", "audit_event", ["entity", "at", "id"], unique=False)
    op.create_index("audit_event_by_name", "audit_event", ["actor_key", "at", "id"], unique=False)
    op.create_index("audit_event_by_patient", "audit_event", ["patient_id", "at", "id"], unique=False)
    op.create_index("audit_event_by_time", "audit_event", ["at", "id"], unique=False)
    op.create_table("audit_term",
        sa.Column("field", sa.String(length=20), nullable=False),
        sa.Column("text", sa.String(length=191), nullable=False),
        sa.PrimaryKeyConstraint("field", "text")
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
    for statement in ONLY_GROWS[op.get_bind().dialect.name]:
        op.execute(statement)
