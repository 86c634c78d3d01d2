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
    op.create_table("delivery",
        sa.Column("id", Id(), nullable=False),
        sa.Column("fact_id", Id(), nullable=False),
        sa.Column("account_id", Id(), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("kind", sa.String(length=60), nullable=False),
        sa.Column("about", Id(), nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("link", sa.String(length=200), nullable=False),
        sa.Column("label", sa.String(length=100), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(length=80), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("sent_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("fact_id", "account_id", "channel", name="delivery_fact_id_account_id_channel")
    )
    op.create_index("delivery_due", "delivery", ["status", "due_at", "id"], unique=False)
    op.create_index("delivery_newest", "delivery", ["created_at", "id"], unique=False)
    op.create_index("delivery_newest_of_status", "delivery", ["status", "created_at", "id"], unique=False)
    op.create_table("inbox",
        sa.Column("fact_id", Id(), nullable=False),
        sa.Column("handled_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("fact_id")
    )
    op.create_table("notification",
        sa.Column("id", Id(), nullable=False),
        sa.Column("account_id", Id(), nullable=False),
        sa.Column("fact_id", Id(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("link", sa.String(length=200), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("read_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("fact_id", "account_id", name="notification_fact_id_account_id")
    )
    op.create_index("notification_newest", "notification", ["account_id", "created_at", "id"], unique=False)
    op.create_index("notification_read", "notification", ["read_at"], unique=False)
    op.create_index("notification_unread", "notification", ["account_id", "read_at", "created_at", "id"], unique=False)
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
