"""Codes that were sent. Not the codes: they are made of the row's id and the installation's secret."""
from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msgspec import Struct
from sqlalchemy import Column, Integer, String, Table, bindparam, delete, update

from infirmary.contexts.identity.domain import Purpose
from infirmary.kernel.database.columns import EnumText, Id, UtcDateTime
from infirmary.kernel.database.rows import Rows
from infirmary.kernel.database.statement import Statement
from infirmary.language import Channel

from .base import metadata

sent_code = Table(
    "sent_code", metadata,
    Column("id", Id, primary_key=True),
    Column("account_id", Id),                          # none: nothing was sent
    Column("email_key", String(64), nullable=False),   # of the address that was asked for, whether anybody has it or not
    Column("tries", Integer, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime),
    Column("channel", EnumText(Channel, 20), nullable=False, server_default="email"),
    Column("address", String(254)),   # none: that of the account
    Column("purpose", EnumText(Purpose, 20), nullable=False, server_default="sign_in"))


class SentCodeRow(Struct, frozen=True):
    id: UUID
    account_id: UUID | None
    email_key: str
    tries: int
    expires_at: datetime
    used_at: datetime | None
    channel: Channel
    address: str | None
    purpose: Purpose


SENT_CODES = Rows(sent_code, SentCodeRow, version=None)

_c = sent_code.c
_good = (_c.id == bindparam("key"), _c.used_at.is_(None), _c.expires_at > bindparam("now"))
TRY = Statement(update(sent_code).where(*_good, _c.tries < bindparam("most", type_=Integer)).values(tries=_c.tries + 1))
USE = Statement(update(sent_code).where(*_good).values(used_at=bindparam("now")))
FORGET = Statement(delete(sent_code).where(_c.expires_at <= bindparam("before")))
