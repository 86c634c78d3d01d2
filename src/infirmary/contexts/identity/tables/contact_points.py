"""Mailboxes and phones that have been shown to be somebody's."""
from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msgspec import Struct
from sqlalchemy import Boolean, Column, ForeignKey, String, Table, bindparam, delete, update

from infirmary.kernel.database.columns import EnumText, Id, UtcDateTime
from infirmary.kernel.database.rows import Rows
from infirmary.kernel.database.statement import Statement
from infirmary.language import Channel

from .base import metadata

contact_point = Table(
    "contact_point", metadata,
    Column("account_id", Id, ForeignKey("account.id"), primary_key=True),
    Column("channel", EnumText(Channel, 20), primary_key=True),
    Column("address", String(254), nullable=False),
    Column("confirmed_at", UtcDateTime, nullable=False),
    Column("second_factor", Boolean, nullable=False))


class ContactPointRow(Struct, frozen=True):
    """`address`: of e-mail as the account had it, of a phone in E.164."""

    account_id: UUID
    channel: Channel
    address: str
    confirmed_at: datetime
    second_factor: bool


CONTACT_POINTS = Rows(contact_point, ContactPointRow, key="account_id", version=None)

_c = contact_point.c
_this = (_c.account_id == bindparam("key"), _c.channel == bindparam("on"))
OF_ACCOUNTS = CONTACT_POINTS.find(_c.account_id.in_(bindparam("accounts", expanding=True)),
                                  order_by=[_c.account_id, _c.channel])
CONFIRM_AGAIN = Statement(update(contact_point).where(*_this).values(
    address=bindparam("new_address"), confirmed_at=bindparam("now")))
ASK_FOR_CODES = Statement(update(contact_point).where(*_this, _c.second_factor.is_(False)).values(second_factor=True))
STOP_ASKING = Statement(update(contact_point).where(*_this, _c.second_factor.is_(True)).values(second_factor=False))
DROP = Statement(delete(contact_point).where(*_this))
DROP_ALL = Statement(delete(contact_point).where(_c.account_id == bindparam("key")))
