"""Where logins at other providers are kept, and who is on the way there and back."""
from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msgspec import Struct
from sqlalchemy import Column, ForeignKey, String, Table, UniqueConstraint, bindparam, delete, update

from infirmary.kernel.database.columns import Id, UtcDateTime
from infirmary.kernel.database.rows import Rows
from infirmary.kernel.database.statement import Statement

from .base import metadata

# Somebody is sent to a provider. What they must bring back is here only as digests; the nonce and the verifier are made
# from the state again. Good once: whoever deletes the row has come back.
oidc_trip = Table(
    "oidc_trip", metadata,
    Column("state_hash", String(64), primary_key=True),
    Column("browser_hash", String(64), nullable=False),
    Column("provider", String(40), nullable=False),
    Column("account_id", Id),   # none: to sign in; else to link the login to this one
    Column("expires_at", UtcDateTime, nullable=False))

# Somebody has proved who they are there, and we do not know yet who that is here. Good once, too.
oidc_arrival = Table(
    "oidc_arrival", metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("provider", String(40), nullable=False),
    Column("issuer", String(255), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("email", String(254), nullable=False),
    Column("expires_at", UtcDateTime, nullable=False))

oidc_login = Table(
    "oidc_login", metadata,
    Column("id", Id, primary_key=True),
    Column("account_id", Id, ForeignKey("account.id"), nullable=False),
    Column("provider", String(40), nullable=False),
    Column("issuer", String(255), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("pair", String(64), nullable=False, unique=True),   # the issuer and the subject: whose it is, once
    Column("email", String(254), nullable=False),
    Column("linked_at", UtcDateTime, nullable=False),
    Column("last_used_at", UtcDateTime),
    UniqueConstraint("account_id", "provider"))


class TripRow(Struct, frozen=True):
    state_hash: str
    browser_hash: str
    provider: str
    account_id: UUID | None
    expires_at: datetime


class ArrivalRow(Struct, frozen=True):
    token_hash: str
    provider: str
    issuer: str
    subject: str
    email: str
    expires_at: datetime


class LoginRow(Struct, frozen=True):
    id: UUID
    account_id: UUID
    provider: str
    issuer: str
    subject: str
    pair: str
    email: str
    linked_at: datetime
    last_used_at: datetime | None


TRIPS = Rows(oidc_trip, TripRow, key="state_hash", version=None)
ARRIVALS = Rows(oidc_arrival, ArrivalRow, key="token_hash", version=None)
LOGINS = Rows(oidc_login, LoginRow, version=None)

_t, _a, _l = oidc_trip.c, oidc_arrival.c, oidc_login.c
END_TRIP = Statement(delete(oidc_trip).where(
    _t.state_hash == bindparam("key"), _t.browser_hash == bindparam("browser"), _t.provider == bindparam("provider"),
    _t.expires_at > bindparam("now")))
END_ARRIVAL = Statement(delete(oidc_arrival).where(_a.token_hash == bindparam("key"), _a.expires_at > bindparam("now")))
LOGIN_OF = LOGINS.find(_l.pair == bindparam("pair"))
LOGINS_OF = LOGINS.find(_l.account_id == bindparam("account_id"), order_by=[_l.linked_at, _l.id])
USE_LOGIN = Statement(update(oidc_login).where(_l.id == bindparam("key")).values(last_used_at=bindparam("now")))
UNLINK = Statement(delete(oidc_login).where(_l.id == bindparam("key")))
FORGET = (Statement(delete(oidc_trip).where(_t.expires_at <= bindparam("now"))),
          Statement(delete(oidc_arrival).where(_a.expires_at <= bindparam("now"))))
