"""Inboxes, and the messages that leave the house."""
from __future__ import annotations

from datetime import date, datetime
from functools import cache
from uuid import UUID

from msgspec import Struct
from sqlalchemy import (
    Boolean,
    Column,
    Date,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    delete,
    func,
    select,
    update,
)

from infirmary.kernel.database.columns import EnumText, Id, UtcDateTime
from infirmary.kernel.database.db import with_kernel_tables
from infirmary.kernel.database.rows import Pages, Rows
from infirmary.kernel.database.statement import Query, Statement
from infirmary.language import Channel

from .contract import DeliveryStatus

metadata = with_kernel_tables(MetaData())

# Both are unique per fact and person: a fact that comes again after the inbox has forgotten it tells nobody twice.
notification = Table(
    "notification", metadata,
    Column("id", Id, primary_key=True),
    Column("account_id", Id, nullable=False),
    Column("fact_id", Id, nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("link", String(200), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("read_at", UtcDateTime),
    UniqueConstraint("fact_id", "account_id"),
    Index("notification_newest", "account_id", "created_at", "id"),
    Index("notification_unread", "account_id", "read_at", "created_at", "id"),
    Index("notification_read", "read_at"))

delivery = Table(
    "delivery", metadata,
    Column("id", Id, primary_key=True),
    Column("fact_id", Id, nullable=False),
    Column("account_id", Id, nullable=False),
    Column("channel", EnumText(Channel, 20), nullable=False),
    Column("kind", String(60), nullable=False),
    Column("about", Id, nullable=False),
    Column("address", String(254), nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("link", String(200), nullable=False),
    Column("label", String(100), nullable=False),
    Column("status", EnumText(DeliveryStatus, 20), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", String(80), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("sent_at", UtcDateTime),
    UniqueConstraint("fact_id", "account_id", "channel"),
    Index("delivery_due", "status", "due_at", "id"),
    Index("delivery_newest", "created_at", "id"),
    Index("delivery_newest_of_status", "status", "created_at", "id"))

preference = Table(
    "preference", metadata,
    Column("account_id", Id, primary_key=True),
    Column("email", Boolean, nullable=False),
    Column("sms", Boolean, nullable=False),
    Column("version", Integer, nullable=False))

# What is counted of whom: nobody pays for more messages to one number on one day.
texted = Table(
    "texted", metadata,
    Column("number_key", String(64), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("messages", Integer, nullable=False))


class NotificationRow(Struct, frozen=True):
    id: UUID
    account_id: UUID
    fact_id: UUID
    title: str
    body: str
    link: str
    created_at: datetime
    read_at: datetime | None


class DeliveryRow(Struct, frozen=True):
    """`about` is the aggregate of the fact. `due_at`: not to be tried before; while somebody tries, the end of their
    lease. `attempts` counts with every claim, so it also tells one claim from another."""

    id: UUID
    fact_id: UUID
    account_id: UUID
    channel: Channel
    kind: str
    about: UUID
    address: str
    title: str
    body: str
    link: str
    label: str
    status: DeliveryStatus
    attempts: int
    error: str
    created_at: datetime
    due_at: datetime
    sent_at: datetime | None


class PreferenceRow(Struct, frozen=True):
    account_id: UUID
    email: bool
    sms: bool
    version: int


class TextedRow(Struct, frozen=True):
    """`day` in UTC."""

    number_key: str
    day: date
    messages: int


class Newest(Struct, frozen=True):
    id: UUID
    title: str


NOTIFICATIONS = Rows(notification, NotificationRow, version=None)
DELIVERIES = Rows(delivery, DeliveryRow, version=None)
PREFERENCES = Rows(preference, PreferenceRow, key="account_id")
TEXTED = Rows(texted, TextedRow, key="number_key", version=None)

PREFERENCES_OF = PREFERENCES.find(preference.c.account_id.in_(bindparam("accounts", expanding=True)))
PREFER = Statement(update(preference).where(
    preference.c.account_id == bindparam("key"), preference.c.version == bindparam("seen")).values(
    email=bindparam("by_email", type_=Boolean), sms=bindparam("by_sms", type_=Boolean), version=preference.c.version + 1))

_that_day = (texted.c.number_key == bindparam("key"), texted.c.day == bindparam("on", type_=Date))
TEXT = Statement(update(texted).where(*_that_day, texted.c.messages < bindparam("most", type_=Integer)).values(
    messages=texted.c.messages + 1))
FORGET_TEXTED = Statement(delete(texted).where(texted.c.day < bindparam("before", type_=Date)))

_mine = notification.c.account_id == bindparam("account_id")
_unread = notification.c.read_at.is_(None)
_newest = [notification.c.created_at, notification.c.id]
INBOX = Pages(select(notification).where(_mine), NotificationRow, _newest, newest_first=True)
INBOX_UNREAD = Pages(select(notification).where(_mine, _unread), NotificationRow, _newest, newest_first=True)
UNREAD = Query(select(func.count()).select_from(notification).where(_mine, _unread), int)
NEWEST = Query(select(notification.c.id, notification.c.title).where(_mine)
               .order_by(notification.c.created_at.desc(), notification.c.id.desc()).limit(1), Newest)
READ = Statement(update(notification).where(notification.c.id == bindparam("key"), _unread)
                 .values(read_at=bindparam("now")))
READ_ALL = Statement(update(notification).where(_mine, _unread).values(read_at=bindparam("now")))
FORGET_READ = Statement(delete(notification).where(notification.c.read_at < bindparam("before")))

_pending = delivery.c.status == DeliveryStatus.PENDING
_this = delivery.c.id == bindparam("key")
DUE = Query(select(delivery).where(_pending, delivery.c.due_at <= bindparam("now"),
                                   delivery.c.channel.in_(bindparam("channels", expanding=True)))
            .order_by(delivery.c.due_at, delivery.c.id).limit(bindparam("limit", type_=Integer)), DeliveryRow)
CLAIM = Statement(update(delivery).where(
    _this, _pending, delivery.c.attempts == bindparam("seen"), delivery.c.due_at <= bindparam("now")).values(
    attempts=bindparam("attempt", type_=Integer), due_at=bindparam("until")))
SENT = Statement(update(delivery).where(_this).values(
    status=DeliveryStatus.SENT, sent_at=bindparam("now"), error=""))
# Only by whoever holds the claim: somebody slower than their lease knows no better than who came after.
POSTPONE = Statement(update(delivery).where(_this, _pending, delivery.c.attempts == bindparam("attempt")).values(
    due_at=bindparam("then"), error=bindparam("why")))
FAIL = Statement(update(delivery).where(_this, _pending, delivery.c.attempts == bindparam("attempt")).values(
    status=DeliveryStatus.FAILED, error=bindparam("why")))
RETRY = Statement(update(delivery).where(_this, delivery.c.status == DeliveryStatus.FAILED).values(
    status=DeliveryStatus.PENDING, attempts=0, due_at=bindparam("now")))
FORGET_SENT = Statement(delete(delivery).where(
    delivery.c.status == DeliveryStatus.SENT, delivery.c.created_at < bindparam("before")))


@cache
def log_of(status: DeliveryStatus | None) -> Pages[DeliveryRow]:
    chosen = select(delivery)
    return Pages(chosen if status is None else chosen.where(delivery.c.status == status), DeliveryRow,
                 [delivery.c.created_at, delivery.c.id], newest_first=True)
