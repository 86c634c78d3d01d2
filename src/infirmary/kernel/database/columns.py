"""Column types that mean the same on PostgreSQL, MySQL/MariaDB and SQLite."""
from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import Enum
from functools import partial
from operator import attrgetter
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import BigInteger, Column, Dialect, LargeBinary, String, Text, TypeDecorator, types
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.types import TypeEngine

Processor = Callable[[Any], Any]
Converters = tuple[tuple[int, Processor], ...]   # (position, what turns that value)


def inward(kept: Iterable[TypeEngine[Any]], dialect: Dialect) -> Converters:
    """What turns Python's values into the driver's, by the types' public API. Not to be called with None."""
    made = ((at, one.dialect_impl(dialect).bind_processor(dialect)) for at, one in enumerate(kept))
    return tuple((at, getattr(convert, "__wrapped__", convert)) for at, convert in made if convert)


def outward(kept: Iterable[TypeEngine[Any]], dialect: Dialect) -> Converters:
    made = ((at, one.dialect_impl(dialect).result_processor(dialect, None)) for at, one in enumerate(kept))
    return tuple((at, getattr(convert, "__wrapped__", convert)) for at, convert in made if convert)


def _or_null(convert: Processor) -> Processor:
    """SQLAlchemy's own engine (Alembic's data steps) hands None to processors. The kernel never does: it takes
    the wrapped one and saves a call per value."""
    def process(value: Any) -> Any:
        return None if value is None else convert(value)
    process.__wrapped__ = convert  # type: ignore[attr-defined]
    return process


def _in_utc(value: datetime) -> datetime:
    if value.tzinfo is UTC:
        return value
    if value.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone")
    return value.astimezone(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: aware in, aware UTC out, to the microsecond.

    SQLite keeps text of fixed width: it sorts as it reads, people and SQLite's own functions understand it,
    and reading it back costs 0.13 us where an integer costs 0.9 (writing 2.5 where 0.6; we read more).
    """

    impl = types.DateTime
    cache_ok = True
    python_type = datetime   # said aloud: a TypeDecorator's own answer is `object`, which would check nothing

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        match dialect.name:
            case "postgresql":
                return dialect.type_descriptor(types.TIMESTAMP(timezone=True))
            case "mysql":
                return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(String(32))

    def bind_processor(self, dialect: Dialect) -> Processor:
        match dialect.name:
            case "postgresql":
                return _or_null(_in_utc)
            case "mysql":  # combine() drops the zone four times faster than replace()
                return _or_null(lambda value: datetime.combine(value := _in_utc(value), value.time()))
        return _or_null(lambda value: _in_utc(value).isoformat(" ", "microseconds"))

    def result_processor(self, dialect: Dialect, coltype: object) -> Processor | None:
        match dialect.name:
            case "postgresql":
                return None
            case "mysql":
                return _or_null(lambda value: datetime.combine(value, value.time(), UTC))
        return _or_null(datetime.fromisoformat)


class Id(TypeDecorator[UUID]):
    """UUID: native on PostgreSQL, 16 bytes elsewhere (half the index of text, and five times faster to write)."""

    impl = types.Uuid
    cache_ok = True
    python_type = UUID

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        match dialect.name:
            case "postgresql":
                return dialect.type_descriptor(postgresql.UUID())
            case "mysql":
                return dialect.type_descriptor(mysql.BINARY(16))
        return dialect.type_descriptor(LargeBinary(16))

    def bind_processor(self, dialect: Dialect) -> Processor | None:
        return None if dialect.name == "postgresql" else _or_null(attrgetter("bytes"))

    def result_processor(self, dialect: Dialect, coltype: object) -> Processor | None:
        return None if dialect.name == "postgresql" else _or_null(partial(msgspec.convert, type=UUID))


class Json(TypeDecorator[object]):
    """Any value msgspec can write, read back as `of`. JSONB and MySQL reorder keys: never hash what comes back."""

    impl = types.JSON
    cache_ok = True
    python_type = object

    def __init__(self, of: Any = Any) -> None:
        super().__init__()
        self.of = of

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        match dialect.name:
            case "postgresql":
                return dialect.type_descriptor(postgresql.JSONB())
            case "mysql":
                return dialect.type_descriptor(mysql.JSON())
        return dialect.type_descriptor(Text())

    def bind_processor(self, dialect: Dialect) -> Processor:
        return _or_null(lambda value: msgspec.json.encode(value).decode())

    def result_processor(self, dialect: Dialect, coltype: object) -> Processor:
        return _or_null(msgspec.json.Decoder(self.of).decode)


class EnumText(TypeDecorator[Enum]):
    """An Enum kept as its value: readable in every tool, and a new member needs no ALTER TYPE."""

    impl = String
    cache_ok = True

    def __init__(self, members: type[Enum], length: int = 40) -> None:
        super().__init__(length)
        self.members = members

    @property
    def python_type(self) -> type[Enum]:
        return self.members

    def bind_processor(self, dialect: Dialect) -> Processor:
        return _or_null(attrgetter("value"))

    def result_processor(self, dialect: Dialect, coltype: object) -> Processor:
        return _or_null({member.value: member for member in self.members}.__getitem__)


class Money(msgspec.Struct, frozen=True):
    minor: int
    currency: str


def money(name: str, *, nullable: bool = False) -> tuple[Column[Any], Column[Any]]:
    """Two columns that a Struct sees as one Money field."""
    return (Column(f"{name}_minor", BigInteger, nullable=nullable),
            Column(f"{name}_currency", String(3), nullable=nullable))


_last = 0


def new_id() -> UUID:
    """UUIDv7, increasing within the process: new rows land at the end of the index."""
    global _last   # noqa: PLW0603 – one clock per process
    # 48 bits of milliseconds, then 12 bits of the fraction: version 7 with sub-millisecond order.
    _last = max(_last + 1, time.time_ns() * 4096 // 1_000_000)
    return UUID(int=(_last >> 12) << 80 | 7 << 76 | (_last & 0xFFF) << 64 | 2 << 62
                | int.from_bytes(os.urandom(8)) >> 2)
