"""Rows of one table as frozen Structs: add, get, save (compare-and-set), find, page."""
from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

import msgspec
from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Dialect,
    Integer,
    Select,
    Table,
    and_,
    bindparam,
    func,
    insert,
    or_,
    select,
    union_all,
    update,
)

from infirmary.kernel.errors import FieldError, Malformed, StaleVersion

from .columns import Converters, inward
from .shape import Shape
from .statement import Query, Statement, Write
from .unique import name_unique

if TYPE_CHECKING:
    from .db import Reading, Transaction

S = TypeVar("S", bound=msgspec.Struct)
CHUNK = 500   # rows per INSERT; 32,767 parameters is the lowest limit (asyncpg)


class Insert(Generic[S]):
    """INSERT of any number of rows in one statement.

    PostgreSQL takes whole columns (unnest): one statement text, whatever the number of rows. The others take
    VALUES (...), (...), compiled once per number of rows.
    """

    def __init__(self, table: Table, shape: Shape[S]) -> None:
        self.table, self.shape = table, shape
        self._sql: dict[tuple[str, int], str] = {}
        self._bind: dict[str, Converters] = {}
        for column in table.columns:
            if column.default is not None:
                raise TypeError(f"{column}: a Python-side default would never run here; use a server default")

    def __call__(self, dialect: Dialect, rows: Sequence[S]) -> Iterator[Write]:
        for start in range(0, len(rows), CHUNK):
            yield self._write(dialect, rows[start:start + CHUNK])

    def _write(self, dialect: Dialect, rows: Sequence[S]) -> Write:
        arrays = len(rows) > 1 and dialect.name == "postgresql"
        key = dialect.name, 0 if arrays else len(rows)
        sql = self._sql.get(key) or self._compile(dialect, key)
        columns = self.shape.taken_apart(rows)
        for at, convert in self._bind[dialect.name]:
            columns[at] = [None if value is None else convert(value) for value in columns[at]]
        return Write(sql, columns if arrays else [value for row in zip(*columns, strict=True) for value in row])

    def _compile(self, dialect: Dialect, key: tuple[str, int]) -> str:
        columns = list(self.table.columns)
        names = [column.name for column in columns]
        self._bind[dialect.name] = inward((column.type for column in columns), dialect)
        if key[1]:
            core: Any = insert(self.table).values([
                {c.name: bindparam(f"{c.name}_{row}", type_=c.type) for c in columns} for row in range(key[1])])
            wanted = [f"{name}_{row}" for row in range(key[1]) for name in names]
        else:
            arrays = func.unnest(*[bindparam(c.name, type_=ARRAY(c.type)) for c in columns])
            derived = arrays.table_valued(*names).render_derived()
            core, wanted = insert(self.table).from_select(names, select(*derived.c)), names
        compiled = core.compile(dialect=dialect)
        if list(compiled.positiontup) != wanted:
            raise TypeError(f"{self.table}: parameters came out as {compiled.positiontup}")
        self._sql[key] = str(compiled)
        return self._sql[key]


class Rows(Generic[S]):
    def __init__(self, table: Table, struct: type[S], *, key: str = "id", version: str | None = "version") -> None:
        name_unique(table)
        self.table, self.struct, self.key, self.version = table, struct, key, version
        self.insert = Insert(table, Shape(struct, list(table.columns)))
        identity = table.c[key]
        self._by_key = self.find(identity == bindparam("key", type_=identity.type))
        if version:
            counter = table.c[version]
            change = update(table).where(identity == bindparam("key")).values(
                {c.name: bindparam(f"new_{c.name}", type_=c.type) for c in table.columns if c is not identity})
            self._save = Statement(change.where(counter == bindparam("seen")))
            self._replace = Statement(change.where(counter < bindparam(f"new_{version}", type_=counter.type)))

    def find(self, *where: ColumnElement[bool], order_by: Sequence[ColumnElement[Any]] = ()) -> Query[S]:
        """To be called once, at module level: the Query is the declared statement."""
        return Query(select(self.table).where(*where).order_by(*order_by), self.struct)

    async def get(self, tx: Reading, key: object) -> S | None:
        return await tx.one(self._by_key, key=key)

    def add(self, tx: Transaction, *rows: S) -> None:
        """Queued: an INSERT has no answer to wait for. A refusal comes with the next question or the commit."""
        tx.add(self.insert, rows)

    async def save(self, tx: Transaction, row: S) -> S:
        """Compare-and-set on the version; answers the row as it is now stored."""
        assert self.version, "rows without a version are never changed"
        seen: int = getattr(row, self.version)
        saved = msgspec.structs.replace(row, **{self.version: seen + 1})
        if await tx.run(self._save, seen=seen, **self._changed(saved)) != 1:
            raise StaleVersion
        return saved

    async def keep_newest(self, tx: Transaction, row: S) -> bool:
        """For what others announce, whose rows have the version of the fact: kept as this row says, unless what is there
        is as new, or newer; then False. What arrives late or twice changes nothing. Of two firsts at once one gets a
        UniqueViolation, and is delivered again."""
        if await tx.run(self._replace, **self._changed(row)):
            return True
        if await self.get(tx, getattr(row, self.key)) is not None:
            return False
        self.add(tx, row)
        return True

    def _changed(self, row: S) -> dict[str, Any]:
        columns = zip(self.table.columns, self.insert.shape.taken_apart([row]), strict=True)
        return {"key" if column.name == self.key else f"new_{column.name}": values[0] for column, values in columns}


class Pages(Generic[S]):
    """Keyset pagination: the cursor is the last row's keys, so a page costs the same wherever it lies.

    What is found in several ways is asked for in several (`*more`, none of whose rows another finds): each goes along an
    index of its own, where one question with OR would read all there is.
    """

    def __init__(self, core: Select[Any], into: type[S], keys: Sequence[Column[Any]], *more: Select[Any],
                 newest_first: bool = False) -> None:
        self._names = [key.name for key in keys]
        # A time without zone would pass as a datetime, and then be refused where it is too late for a 400.
        kinds = [Annotated[datetime, msgspec.Meta(tz=True)] if key.type.python_type is datetime else key.type.python_type
                 for key in keys]
        types: Any = tuple[tuple(kinds)]  # type: ignore[misc]
        self._cursor = msgspec.msgpack.Decoder(types)
        ways, after = [core, *more], _after(keys, descending=newest_first)
        self._first = Query(_in_order(ways, keys, descending=newest_first), into)
        self._next = Query(_in_order([way.where(after) for way in ways], keys, descending=newest_first), into)

    async def page(self, tx: Reading, *, after: str | None, limit: int, **params: Any) -> tuple[list[S], str | None]:
        if after is None:
            rows = await tx.all(self._first, limit=limit + 1, **params)
        else:
            try:
                last = self._cursor.decode(base64.urlsafe_b64decode(after))
            except (msgspec.DecodeError, ValueError) as error:   # a forged cursor is a client's mistake, never SQL
                raise Malformed(errors=[FieldError("cursor", "Use the next_cursor of the page before.")]) from error
            keys = {f"after_{name}": value for name, value in zip(self._names, last, strict=True)}
            rows = await tx.all(self._next, limit=limit + 1, **keys, **params)
        if len(rows) <= limit:
            return rows, None
        last = [getattr(rows[limit - 1], name) for name in self._names]
        return rows[:limit], base64.urlsafe_b64encode(msgspec.msgpack.encode(last)).decode()


def _in_order(ways: Sequence[Select[Any]], keys: Sequence[ColumnElement[Any]], *, descending: bool) -> Select[Any]:
    if len(ways) > 1:
        found = union_all(*(select(_in_order([way], keys, descending=descending).subquery()) for way in ways)).subquery()
        return _in_order([select(found)], [found.c[key.name] for key in keys], descending=descending)
    ordered = ways[0].order_by(*(key.desc() if descending else key for key in keys))
    return ordered.limit(bindparam("limit", type_=Integer))


def _after(keys: Sequence[Column[Any]], *, descending: bool) -> ColumnElement[bool]:
    """a >= :a AND (a > :a OR (b > :b ...)): unlike (a, b) > (:a, :b), MySQL uses the index for it."""
    first, *rest = keys
    last = bindparam(f"after_{first.name}", type_=first.type)
    beyond, level = (first < last, first <= last) if descending else (first > last, first >= last)
    return and_(level, or_(beyond, _after(rest, descending=descending))) if rest else beyond
