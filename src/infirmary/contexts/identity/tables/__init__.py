"""Where accounts, sessions and what guards them are kept.

Locks are taken in one order: account, session, its tokens. Whoever issues a token or changes what a token says first
locks the account, so that no token is signed with roles that have just been taken away.
"""
from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from uuid import UUID

from msgspec import Struct
from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    bindparam,
    delete,
    func,
    or_,
    select,
    update,
)

from infirmary.contexts.identity.domain import KEY_LENGTH, SEARCH_LENGTH, State
from infirmary.kernel.database.columns import EnumText, Id, UtcDateTime
from infirmary.kernel.database.rows import Pages, Rows
from infirmary.kernel.database.statement import Query, Statement
from infirmary.language import ADMIN, Role

from . import clients as clients  # whose tables belong to the metadata
from . import contact_points as contact_points  # likewise
from . import federation as federation  # likewise
from . import passkeys as passkeys  # likewise
from . import sent_codes as sent_codes  # likewise
from .base import metadata as metadata

account = Table(
    "account", metadata,
    Column("id", Id, primary_key=True),
    Column("email", String(254), nullable=False),
    Column("email_key", String(64), nullable=False, unique=True),
    Column("name", String(201), nullable=False),
    Column("name_key", String(KEY_LENGTH), nullable=False),
    Column("search", String(SEARCH_LENGTH), nullable=False),
    Column("password_hash", String(200)),   # none: invited, and none chosen yet
    Column("state", EnumText(State), nullable=False),
    Column("patient_id", Id, unique=True),
    Column("doctor_id", Id, unique=True),
    Column("staff_id", Id, unique=True),
    Column("claim", String(64)),            # while pending: whose registration this is, and until when
    Column("claimed_until", UtcDateTime),   # nobody else may take it over
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_sign_in_at", UtcDateTime),
    Column("version", Integer, nullable=False),
    Index("account_by_name", "name_key", "id"))

account_role = Table(
    "account_role", metadata,
    Column("account_id", Id, ForeignKey("account.id"), primary_key=True),
    Column("role", EnumText(Role), primary_key=True))

session = Table(
    "session", metadata,
    Column("id", Id, primary_key=True),
    Column("account_id", Id, ForeignKey("account.id"), nullable=False, index=True),
    Column("started_at", UtcDateTime, nullable=False),
    Column("last_used_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),   # unless it is used again before
    Column("address", String(64), nullable=False),
    Column("proved_at", UtcDateTime))   # when the password was last given in it

# Records that were merged into another one, and the account that went with it: it is given back when they are apart.
merged_record = Table(
    "merged_record", metadata,
    Column("patient_id", Id, primary_key=True),
    Column("account_id", Id),
    Column("version", Integer, nullable=False))

# Used ones stay as long as their session: whoever brings one back holds a copy.
refresh_token = Table(
    "refresh_token", metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("session_id", Id, ForeignKey("session.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("used_at", UtcDateTime))

revocation = Table(
    "revocation", metadata,
    Column("id", Id, primary_key=True),   # of a session or an account
    Column("since", UtcDateTime, nullable=False, index=True))

password_reset = Table(
    "password_reset", metadata,
    Column("id", Id, primary_key=True),
    Column("account_id", Id, ForeignKey("account.id"), index=True),   # none: asked for an address that nobody has
    Column("invitation", Boolean, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    Column("used_at", UtcDateTime))

totp = Table(
    "totp", metadata,
    Column("account_id", Id, ForeignKey("account.id"), primary_key=True),
    Column("sealed", String(200), nullable=False),     # the secret, encrypted
    Column("confirmed_at", UtcDateTime),               # none: not in force yet
    Column("last_step", Integer, nullable=False))      # of the last code used: it and those before are good no more

recovery_code = Table(
    "recovery_code", metadata,
    Column("account_id", Id, ForeignKey("account.id"), primary_key=True),
    Column("code_hash", String(64), primary_key=True),
    Column("used_at", UtcDateTime))

throttle = Table(
    "throttle", metadata,
    Column("bucket", String(64), primary_key=True),
    Column("tries", Integer, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False, index=True))


class AccountRow(Struct, frozen=True):
    id: UUID
    email: str
    email_key: str
    name: str
    name_key: str
    search: str
    password_hash: str | None
    state: State
    patient_id: UUID | None
    doctor_id: UUID | None
    staff_id: UUID | None
    claim: str | None
    claimed_until: datetime | None
    created_at: datetime
    last_sign_in_at: datetime | None
    version: int


class MergedRow(Struct, frozen=True):
    patient_id: UUID
    account_id: UUID | None
    version: int


class RoleRow(Struct, frozen=True):
    account_id: UUID
    role: Role


class SessionRow(Struct, frozen=True):
    id: UUID
    account_id: UUID
    started_at: datetime
    last_used_at: datetime
    expires_at: datetime
    address: str
    proved_at: datetime | None = None


class RefreshRow(Struct, frozen=True):
    token_hash: str
    session_id: UUID
    used_at: datetime | None


class RevocationRow(Struct, frozen=True):
    id: UUID
    since: datetime


class ResetRow(Struct, frozen=True):
    id: UUID
    account_id: UUID | None
    invitation: bool
    expires_at: datetime
    used_at: datetime | None


class TotpRow(Struct, frozen=True):
    account_id: UUID
    sealed: str
    confirmed_at: datetime | None
    last_step: int


class RecoveryRow(Struct, frozen=True):
    account_id: UUID
    code_hash: str
    used_at: datetime | None


class ThrottleRow(Struct, frozen=True):
    bucket: str
    tries: int
    ends_at: datetime


ACCOUNTS = Rows(account, AccountRow)
ROLES = Rows(account_role, RoleRow, key="account_id", version=None)
SESSIONS = Rows(session, SessionRow, version=None)
REFRESHES = Rows(refresh_token, RefreshRow, key="token_hash", version=None)
REVOCATIONS = Rows(revocation, RevocationRow, version=None)
RESETS = Rows(password_reset, ResetRow, version=None)
TOTPS = Rows(totp, TotpRow, key="account_id", version=None)
RECOVERY_CODES = Rows(recovery_code, RecoveryRow, key="account_id", version=None)
MERGED = Rows(merged_record, MergedRow, key="patient_id")
THROTTLES = Rows(throttle, ThrottleRow, key="bucket", version=None)

_a = account.c
_by_id = _a.id == bindparam("key")

BY_EMAIL = ACCOUNTS.find(_a.email_key == bindparam("email_key"))
LOCKED = Query(select(account).where(_by_id).with_for_update(), AccountRow)
ROLES_OF = ROLES.find(account_role.c.account_id.in_(bindparam("accounts", expanding=True)))
_active = _a.state == State.ACTIVE
TO_TELL = ACCOUNTS.find(_active, or_(   # an id that is not asked for is NULL, and equals nothing
    _a.patient_id == bindparam("patient_id"), _a.doctor_id == bindparam("doctor_id"), _a.id == bindparam("account_id")))
# Both rows of each are locked: whoever disables or demotes another of them meanwhile waits, and then counts again.
ADMINS_LOCKED = Query(
    select(_a.id).join_from(account, account_role, _a.id == account_role.c.account_id)
    .where(account_role.c.role == ADMIN, _active, _a.password_hash.is_not(None))
    .order_by(_a.id).with_for_update(), UUID)

OF_PATIENT = Query(select(account).where(_a.patient_id == bindparam("patient_id")).with_for_update(), AccountRow)

_one_version_on = {"version": _a.version + 1}
_as_seen = (_by_id, _a.version == bindparam("seen"))
ACTIVATE = Statement(update(account).where(*_as_seen, _a.state == State.PENDING).values(
    state=State.ACTIVE, password_hash=bindparam("hashed"), claim=None, claimed_until=None, **_one_version_on))
LET_GO = Statement(update(account).where(*_as_seen, _a.state == State.PENDING).values(claimed_until=bindparam("now")))
VACATE = Statement(delete(account).where(*_as_seen, _a.state == State.PENDING))
AMEND = Statement(update(account).where(*_as_seen).values(
    {name: bindparam(f"new_{name}", type_=_a[name].type)
     for name in ("name", "name_key", "search", "state", "doctor_id", "staff_id")} | _one_version_on))
FOLLOW = Statement(update(account).where(_by_id).values(
    patient_id=bindparam("new_patient_id", type_=Id), **_one_version_on))
# These leave the version alone: nobody's If-Match goes stale because somebody signs in or has a new password.
SIGNED_IN = Statement(update(account).where(_by_id).values(last_sign_in_at=bindparam("now")))
SET_PASSWORD = Statement(update(account).where(_by_id).values(password_hash=bindparam("hashed")))
REPLACE_PASSWORD = Statement(update(account).where(_by_id, _a.password_hash == bindparam("seen")).values(
    password_hash=bindparam("hashed")))
DROP_ROLES = Statement(delete(account_role).where(account_role.c.account_id == bindparam("key")))

_s = session.c
LIVING = SESSIONS.find(_s.account_id == bindparam("account_id"), _s.expires_at > bindparam("now"),
                       order_by=[_s.last_used_at.desc(), _s.id])
OTHERS = Query(select(_s.id).where(_s.account_id == bindparam("account_id"), _s.id != bindparam("keep"))
               .order_by(_s.id), UUID)
TOUCH = Statement(update(session).where(_s.id == bindparam("key"), _s.expires_at > bindparam("now")).values(
    last_used_at=bindparam("used"), expires_at=bindparam("until")))
PROVE = Statement(update(session).where(_s.id == bindparam("key")).values(proved_at=bindparam("now")))
END = Statement(delete(session).where(_s.id == bindparam("key")))
END_ALL = Statement(delete(session).where(_s.account_id == bindparam("account_id")))
USE = Statement(update(refresh_token).where(
    refresh_token.c.token_hash == bindparam("key"), refresh_token.c.used_at.is_(None)).values(used_at=bindparam("now")))

REVOKED = REVOCATIONS.find(revocation.c.since > bindparam("after"))
REVOKE_AGAIN = Statement(update(revocation).where(revocation.c.id == bindparam("key")).values(since=bindparam("now")))

_r = password_reset.c
USE_RESET = Statement(update(password_reset).where(
    _r.id == bindparam("key"), _r.used_at.is_(None), _r.expires_at > bindparam("now")).values(used_at=bindparam("now")))
VOID_RESETS = Statement(update(password_reset).where(
    _r.account_id == bindparam("account_id"), _r.used_at.is_(None)).values(used_at=bindparam("now")))

_o = totp.c
CONFIRM_TOTP = Statement(update(totp).where(
    _o.account_id == bindparam("key"), _o.confirmed_at.is_(None), _o.sealed == bindparam("seen")).values(
    confirmed_at=bindparam("now"), last_step=bindparam("step")))
USE_STEP = Statement(update(totp).where(   # a code is good once: of a hundred who bring it, one finds it unused
    _o.account_id == bindparam("key"), _o.confirmed_at.is_not(None), _o.last_step < bindparam("step", type_=Integer)).values(
    last_step=bindparam("step", type_=Integer)))
DROP_TOTP = Statement(delete(totp).where(_o.account_id == bindparam("key")))

_c = recovery_code.c
USE_RECOVERY_CODE = Statement(update(recovery_code).where(
    _c.account_id == bindparam("key"), _c.code_hash == bindparam("code_hash"), _c.used_at.is_(None)).values(
    used_at=bindparam("now")))
RECOVERY_LEFT = Query(select(func.count()).select_from(recovery_code).where(
    _c.account_id == bindparam("key"), _c.used_at.is_(None)), int)
DROP_RECOVERY_CODES = Statement(delete(recovery_code).where(_c.account_id == bindparam("key")))

_t = throttle.c
_bucket = _t.bucket == bindparam("key")
FULL = THROTTLES.find(_bucket, _t.ends_at > bindparam("now"), _t.tries >= bindparam("most", type_=Integer))
COUNT = Statement(update(throttle).where(
    _bucket, _t.ends_at > bindparam("now"), _t.tries < bindparam("most", type_=Integer)).values(tries=_t.tries + 1))
BEGIN_AGAIN = Statement(update(throttle).where(_bucket, _t.ends_at <= bindparam("now")).values(
    tries=1, ends_at=bindparam("until")))
GIVE_BACK = Statement(update(throttle).where(_bucket, _t.tries > 0).values(tries=_t.tries - 1))
EMPTY = Statement(update(throttle).where(_bucket).values(tries=0))

FORGET = (
    Statement(delete(session).where(_s.expires_at <= bindparam("now"))),
    Statement(delete(throttle).where(_t.ends_at <= bindparam("now"))))
FORGET_RESETS = Statement(delete(password_reset).where(_r.expires_at <= bindparam("before")))
FORGET_REVOCATIONS = Statement(delete(revocation).where(revocation.c.since <= bindparam("before")))
FORGET_PENDING = Statement(delete(account).where(_a.state == State.PENDING, _a.claimed_until <= bindparam("before")))


@lru_cache(maxsize=32)
def found(words: int, *, role: bool) -> Pages[AccountRow]:
    """Accounts by name that contain each of so many `word_0`, ... and, where asked, have the `role`."""
    core = select(account).where(_a.state != State.PENDING, *(
        _a.search.like(bindparam(f"word_{at}"), escape="!") for at in range(words)))
    if role:
        core = core.where(_a.id.in_(select(account_role.c.account_id).where(account_role.c.role == bindparam("role"))))
    return Pages(core, AccountRow, [_a.name_key, _a.id])


def like(word: str) -> str:
    """Anywhere in the text."""
    return "%" + word.replace("!", "!!").replace("%", "!%").replace("_", "!_") + "%"
