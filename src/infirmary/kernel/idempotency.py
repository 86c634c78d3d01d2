"""Idempotency-Key: one effect, and the same answer for every repetition (draft-ietf-httpapi-idempotency-key-header).

The key, the effect and the answer are committed together by `tx.answer(...)`. Refusals are not kept: a request that
changed nothing may be tried again. Keys are forgotten after `KEPT`.
"""
from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from sqlalchemy import Column, Index, String, Table, bindparam, delete

from . import sealing
from .database.columns import Id, Json, UtcDateTime
from .database.rows import Rows
from .database.statement import Statement
from .errors import KeyReused
from .outbox import kernel_tables
from .request import Once

if TYPE_CHECKING:
    from .database.db import Database

KEPT = timedelta(hours=72)
SEALED = "sealed"   # the one member of an answer that is kept encrypted


class Answered(msgspec.Struct, frozen=True):
    principal: UUID
    operation: str
    key: str
    fingerprint: str
    answer: Any
    answered_at: datetime


answered = Table(
    "answered", kernel_tables,
    Column("principal", Id, primary_key=True),
    Column("operation", String(80), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("answer", Json),
    Column("answered_at", UtcDateTime, nullable=False),
    Index("answered_answered_at", "answered_at"))

ANSWERS = Rows(answered, Answered, key="key", version=None)
_before = ANSWERS.find(answered.c.principal == bindparam("principal"), answered.c.operation == bindparam("operation"),
                       answered.c.key == bindparam("key"))
_forget = Statement(delete(answered).where(answered.c.answered_at < bindparam("before")))


def once_of(context: str, operation: str, principal: UUID, key: str, given: Mapping[str, Any], secret: bytes = b"",
            ) -> Once:
    """The key on this request: the same when everything that was asked is the same.

    The fingerprint is kept, and a request may hold a password: without the secret nobody can try passwords against it.
    """
    return Once(context, principal, operation, key, hmac.digest(secret, msgspec.json.encode(given), hashlib.sha256).hex())


async def answer_before(db: Database, once: Once) -> Answered | None:
    """What this key was answered with; refuses (422) when it stood on another request."""
    async with db.reading() as reading:
        found = await reading.one(_before, principal=once.principal, operation=once.operation, key=once.key)
    if found is not None and found.fingerprint != once.fingerprint:
        raise KeyReused
    if found is not None and isinstance(found.answer, dict) and found.answer.keys() == {SEALED}:
        raw = sealing.opened(_sealing_key(db.secret), found.answer[SEALED], of=_of(once))
        return msgspec.structs.replace(found, answer=msgspec.json.decode(raw))
    return found


def kept_answer(db: Database, once: Once, answer: Any, *, secret: bool) -> Answered:
    """The row that `answer_before` finds. What is secret is kept encrypted: a copy of the database does not tell it."""
    plain = msgspec.to_builtins(answer)
    kept = ({SEALED: sealing.sealed(_sealing_key(db.secret), msgspec.json.encode(plain), of=_of(once))}
            if secret else plain)
    return Answered(once.principal, once.operation, once.key, once.fingerprint, kept, db.clock.now())


def _sealing_key(secret: bytes) -> bytes:
    return hmac.digest(secret, b"sealed answers", hashlib.sha256)


def _of(once: Once) -> bytes:
    return f"{once.principal} {once.operation} {once.key}".encode()


async def forget_old_answers(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.run(_forget, before=db.clock.now() - KEPT)
