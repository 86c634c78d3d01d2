"""Database.open(url, context): transaction(), reading(), retry(). What a service sees of storage."""
from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import MetaData
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement

from infirmary.kernel import tracing
from infirmary.kernel.access import Caller
from infirmary.kernel.audit import Audited
from infirmary.kernel.clock import Clock, SystemClock
from infirmary.kernel.events import Event
from infirmary.kernel.idempotency import ANSWERS, kept_answer
from infirmary.kernel.outbox import INBOX, OUTBOX, Handled, Stored, kernel_tables
from infirmary.kernel.request import current

from .columns import new_id
from .drivers import Driver, Session
from .errors import AlreadyHandled, ConnectionLost, OutcomeUnknown, Transient, UniqueViolation
from .rows import Insert
from .statement import Query, Statement, Write
from .together import Queued, Together
from .unique import name_unique

S = TypeVar("S", bound=msgspec.Struct)
T = TypeVar("T")
P = ParamSpec("P")
TRIES = 5
HANGS = 10.0   # seconds for one piece of work, tries included: longer than any lock is waited for

# The task, not a flag: a task started inside a transaction inherits the context, but not the transaction.
_opened_by: ContextVar[asyncio.Task[Any] | None] = ContextVar("_opened_by", default=None)


def inside_transaction() -> bool:
    """The contract client asks this too, and refuses to call another context."""
    opener = _opened_by.get()
    return opener is not None and opener is asyncio.current_task()


def with_kernel_tables(metadata: MetaData) -> MetaData:
    """A context's tables together with the kernel's own (outbox, inbox, parked, answered), which every database has."""
    for table in kernel_tables.sorted_tables:
        table.to_metadata(metadata)
    return metadata


class Reading:
    """Questions. Each statement sees what is committed when it starts; nothing is locked."""

    def __init__(self, driver: Driver, *, writing: bool = False) -> None:
        self._dialect = driver.dialect
        self._session: Session = driver.session(writing=writing)
        self._pending: list[Queued] = []

    async def all(self, query: Query[T], **params: Any) -> list[T]:
        compiled, args = query(self._dialect, params)
        if self._pending:
            await self._flush()
        return query.shape.many(await self._session.fetch(compiled.sql, args), compiled.results)

    async def one(self, query: Query[T], **params: Any) -> T | None:
        compiled, args = query(self._dialect, params)
        if self._pending:
            await self._flush()
        return query.shape.one(await self._session.fetch_one(compiled.sql, args), compiled.results)

    async def ping(self) -> None:
        """Whether the database answers."""
        await self._session.fetch_one("SELECT 1", ())

    async def _flush(self) -> None:
        await self._session.flush(self._writes())

    def _writes(self) -> list[Write]:
        pending, self._pending = self._pending, []
        return [write for insert, rows in pending for write in insert(self._dialect, rows)]

    async def _commit(self) -> None:
        await self._session.commit(self._writes())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        if kind is None:
            try:
                await self._commit()
            except BaseException as failure:
                await self._session.rollback()
                if isinstance(failure, ConnectionLost):
                    raise OutcomeUnknown(str(failure)) from failure
                raise
        else:
            await self._session.rollback()


class Transaction(Reading):
    """All or nothing. Inserts are queued and leave together: before the next question, or with the commit."""

    def __init__(self, db: Database, once: UUID | None) -> None:
        super().__init__(db.driver, writing=True)
        self._db, self._once = db, once
        self._facts = self._flushed = False

    async def run(self, statement: Statement, **params: Any) -> int:
        """UPDATE or DELETE; answers how many rows it matched, which is what a compare-and-set is decided by."""
        compiled, args = statement(self._dialect, params)
        if self._pending:
            await self._flush()
        return await self._session.run(compiled.sql, args)

    def add(self, insert: Insert[S], rows: Sequence[S]) -> None:
        if rows:
            self._pending.append(Queued(insert, rows))

    async def push(self) -> None:
        """What is queued leaves now: for more rows than memory should hold."""
        if self._pending:
            await self._flush()

    async def _flush(self) -> None:
        self._flushed = True
        await super()._flush()

    async def _commit(self) -> None:
        # One statement text for any number of rows is what PostgreSQL has. And only reactions, which come in numbers
        # and hardly ever clash: those who want the same slot would only spoil each other's company.
        if self._once is not None and not self._flushed and self._dialect.name == "postgresql":
            await self._db.together.commit(self._pending)
        else:
            await super()._commit()

    def emit(self, event: Event) -> None:
        """The fact leaves with the effect: same transaction, same round trip."""
        self._facts = True
        now = self._db.clock.now()
        self.add(OUTBOX.insert, [Stored(new_id(), type(event).kind, event.aggregate, event.version, event,
                                        current.get().id, now, None, 0, now, tracing.traceparent())])

    def audit(self, action: str, caller: Caller, *, subject_id: UUID | None = None, entity: str = "",
              outcome: str = "done", **detail: str) -> None:
        """An entry for the audit trail, stored with the effect it speaks of."""
        request = current.get()
        if caller.on_behalf:
            detail["on_behalf"] = caller.on_behalf
        self.emit(Audited(
            aggregate=new_id(), version=1, at=self._db.clock.now(), context=self._db.context, action=action,
            outcome=outcome, actor_id=caller.account_id, actor_name=caller.name, actor_roles=sorted(caller.roles),
            subject_id=subject_id, entity=entity, detail=detail, request_id=request.id, address=request.address))

    def answer(self, value: T, *, secret: bool = False) -> T:
        """The answer of this request, kept under its Idempotency-Key (if it has one) in the same transaction;
        encrypted where it is `secret`."""
        once = current.get().once
        if once is not None and once.context == self._db.context:
            self.add(ANSWERS.insert, [kept_answer(self._db, once, value, secret=secret)])
        return value

    async def __aenter__(self) -> Self:
        if inside_transaction():   # on SQLite it would wait for its own turn for ever, elsewhere drain the pool
            raise RuntimeError("a transaction is already open in this task")
        self._mark = _opened_by.set(asyncio.current_task())
        if self._once is not None:   # leaves first of all, with whatever leaves first: one that only inserts is one trip
            self.add(INBOX.insert, [Handled(self._once, self._db.clock.now())])
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        _opened_by.reset(self._mark)
        try:
            await super().__aexit__(kind, error, trace)
        except UniqueViolation as taken:
            await self._refuse_if_handled(taken)
            raise
        if isinstance(error, UniqueViolation):
            await self._refuse_if_handled(error)
        if self._facts and kind is None:
            self._db.facts_waiting.set()

    async def _refuse_if_handled(self, taken: UniqueViolation) -> None:
        """Rows that leave together may run into the inbox or into the effect itself: the inbox says which it was."""
        if self._once is None:
            return
        async with self._db.reading() as reading:
            if await INBOX.get(reading, self._once):
                raise AlreadyHandled(f"{self._db.context} has handled {self._once}") from taken


class Database:
    """The database of one context. `facts_waiting` is set when a commit leaves facts for the relay."""

    def __init__(self, driver: Driver, context: str, clock: Clock | None = None) -> None:
        self.driver, self.context, self.clock = driver, context, clock or SystemClock()
        self.facts_waiting = asyncio.Event()
        self.together = Together(driver)
        self.secret = b""   # the installation's own, for digests of what must not be guessed from them

    @classmethod
    async def open(cls, url: str, context: str, *, clock: Clock | None = None, size: int = 12) -> Database:
        scheme, _, rest = url.partition("://")
        match scheme:   # imported late: who runs on SQLite needs neither asyncpg nor asyncmy
            case "sqlite":
                from .drivers.sqlite import Sqlite
                return cls(Sqlite(rest), context, clock)
            case "postgresql":
                from .drivers.postgres import Postgres
                return cls(Postgres(url, size), context, clock)
            case "mysql" | "mariadb":
                from .drivers.mysql import MySql
                return cls(MySql(url, size), context, clock)
        raise ValueError(f"no driver for {scheme}://")

    def transaction(self, *, once: UUID | None = None) -> Transaction:
        """All or nothing. `once` is the id of the fact being reacted to: AlreadyHandled if that was done before."""
        return Transaction(self, once)

    def reading(self) -> Reading:
        return Reading(self.driver)

    async def retry(self, work: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the whole of `work` again on deadlock, serialization failure or busy: it must do nothing
        outside its transaction. Never on a unique violation: that is the answer. OutcomeUnknown when it hangs."""
        try:
            async with asyncio.timeout(HANGS) as patience:
                for failed in range(1, TRIES):
                    try:
                        return await work(*args, **kwargs)
                    except Transient:
                        await asyncio.sleep(random.uniform(0, .01 * 2 ** failed))   # noqa: S311 – jitter, not a secret
                return await work(*args, **kwargs)
        except TimeoutError as error:
            if patience.expired():
                raise OutcomeUnknown(f"no end after {HANGS:.0f} s") from error
            raise

    async def create(self, metadata: MetaData) -> None:
        """For tests and the sandbox; a real schema comes from Alembic."""
        ddl: list[ExecutableDDLElement] = []
        for table in metadata.sorted_tables:
            name_unique(table)
            ddl += [CreateTable(table), *map(CreateIndex, table.indexes)]
        await self.driver.run_ddl(*(str(one.compile(dialect=self.driver.dialect)) for one in ddl))

    async def close(self) -> None:
        await self.together.close()
        await self.driver.close()
