"""Passkeys, and the challenges that were answered."""
from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msgspec import Struct
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    String,
    Table,
    and_,
    bindparam,
    delete,
    func,
    or_,
    select,
    update,
)

from infirmary.kernel.database.columns import Id, UtcDateTime
from infirmary.kernel.database.rows import Rows
from infirmary.kernel.database.statement import Query, Statement

from .base import metadata

passkey = Table(
    "passkey", metadata,
    Column("id", Id, primary_key=True),
    Column("account_id", Id, ForeignKey("account.id"), nullable=False, index=True),
    Column("credential_hash", String(64), nullable=False, unique=True),   # an id is longer than MySQL indexes
    Column("credential_id", String(1400), nullable=False),
    Column("public_key", String(2000), nullable=False),   # COSE (RFC 9052); both in base64url
    Column("transports", String(200), nullable=False),    # a hint to browsers, with spaces between
    Column("uses", BigInteger, nullable=False),           # the signature counter: 0 where the device counts nothing
    Column("synced", Boolean, nullable=False),
    Column("name", String(60), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_used_at", UtcDateTime),
    Column("version", Integer, nullable=False))

# Nothing is kept of a challenge until it is answered: whoever inserts this row first has used it.
spent_challenge = Table(
    "spent_challenge", metadata,
    Column("challenge_hash", String(64), primary_key=True),
    Column("expires_at", UtcDateTime, nullable=False))


class PasskeyRow(Struct, frozen=True):
    id: UUID
    account_id: UUID
    credential_hash: str
    credential_id: str
    public_key: str
    transports: str
    uses: int
    synced: bool
    name: str
    created_at: datetime
    last_used_at: datetime | None
    version: int


class SpentRow(Struct, frozen=True):
    challenge_hash: str
    expires_at: datetime


PASSKEYS = Rows(passkey, PasskeyRow)
SPENT = Rows(spent_challenge, SpentRow, key="challenge_hash", version=None)

_p = passkey.c
_this = _p.id == bindparam("key")
_of_account = _p.account_id == bindparam("account_id")
OF_ACCOUNT = PASSKEYS.find(_of_account, order_by=[_p.created_at, _p.id])
HOW_MANY = Query(select(func.count()).select_from(passkey).where(_of_account), int)
BY_CREDENTIAL = PASSKEYS.find(_p.credential_hash == bindparam("credential_hash"))
# It must have counted further, or count nothing at all (WebAuthn Level 3, 7.2, step 22). The version stays: a name that
# is being changed does not go stale because somebody signs in.
USE = Statement(update(passkey).where(_this, or_(
    _p.uses < bindparam("uses", type_=BigInteger), and_(_p.uses == 0, bindparam("uses", type_=BigInteger) == 0))).values(
    uses=bindparam("uses", type_=BigInteger), synced=bindparam("synced"), last_used_at=bindparam("now")))
RENAME = Statement(update(passkey).where(_this, _p.version == bindparam("seen")).values(
    name=bindparam("new_name"), version=_p.version + 1))
DROP = Statement(delete(passkey).where(_this))
DROP_ALL = Statement(delete(passkey).where(_of_account))
FORGET_SPENT = Statement(delete(spent_challenge).where(spent_challenge.c.expires_at <= bindparam("before")))
