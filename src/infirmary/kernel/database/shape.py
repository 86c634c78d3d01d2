"""How columns become a Struct and back: by position, verified when the module is imported."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import NoneType
from typing import Any, Generic, TypeVar, get_args, get_origin

import msgspec
from sqlalchemy import Column, ColumnElement

from .columns import Converters, Money

T = TypeVar("T")


class Shape(Generic[T]):
    def __init__(self, into: type[T], columns: Sequence[ColumnElement[Any]]) -> None:
        self.into = into
        self.money: list[int] = []       # positions of fields that are two columns
        self.optional: list[bool] = []   # per column
        self.plain = not issubclass(into, msgspec.Struct)
        left = list(columns)
        fields: list[tuple[str, Any]] = [("", into)]
        if issubclass(into, msgspec.Struct):
            fields = [(field.name, field.type) for field in msgspec.structs.fields(into)]
            if into.__match_args__ != into.__struct_fields__:
                raise TypeError(f"{into.__name__}: keyword-only fields cannot be filled by position")
        for at, (name, annotation) in enumerate(fields):
            wanted = _members(annotation)
            names = [f"{name}_minor", f"{name}_currency"] if Money in wanted else [name]
            kinds = {int, str} if Money in wanted else wanted
            if Money in wanted:
                self.money.append(at)
            for column_name in names:
                column = left.pop(0) if left else None
                if column is None or (column_name != getattr(column, "name", None) and not self.plain):
                    raise TypeError(f"{into.__name__}.{name}: expected column {column_name}, found {column!r}")
                kept = column.type.python_type
                if kept is not object and not any(issubclass(kind, kept) for kind in kinds):
                    raise TypeError(f"{into.__name__}.{name} is {annotation}, {column} keeps {kept.__name__}")
                if isinstance(column, Column) and column.nullable and NoneType not in wanted:
                    raise TypeError(f"{into.__name__}.{name} is never None, but {column} may be NULL")
                self.optional.append(self.plain or NoneType in wanted)
        if left:
            raise TypeError(f"{into.__name__} has no field for {left}")

    def one(self, row: Iterable[Any] | None, converters: Converters) -> T | None:
        if row is None:
            return None
        values = list(row)
        for at, convert in converters:
            values[at] = convert(values[at])
        for at in self.money:
            values[at:at + 2] = [_money(*values[at:at + 2])]
        return values[0] if self.plain else self.into(*values)

    def many(self, rows: Sequence[Iterable[Any]], converters: Converters) -> list[T]:
        """Column by column, so that no Python bytecode runs per row: zip, map and the Struct are C."""
        if not rows:
            return []
        columns: list[Any] = list(zip(*rows, strict=True))
        for at, convert in converters:
            columns[at] = map(convert, columns[at])
        for at in self.money:
            columns[at:at + 2] = [map(_money, columns[at], columns[at + 1])]
        return list(columns[0]) if self.plain else list(map(self.into, *columns))

    def taken_apart(self, rows: Sequence[T]) -> list[Sequence[Any]]:
        """The reverse of many(): one sequence per column."""
        columns: list[Sequence[Any]] = list(zip(*map(msgspec.structs.astuple, rows), strict=True))  # type: ignore[arg-type]
        for at in reversed(self.money):   # from the end: each makes the list one longer
            columns[at:at + 1] = [[value and value.minor for value in columns[at]],
                                  [value and value.currency for value in columns[at]]]
        return columns


def _money(minor: int | None, currency: str | None) -> Money | None:
    return None if minor is None or currency is None else Money(minor, currency)


def _members(annotation: Any) -> set[type]:
    """X | None, Annotated[X, ...] and dict[str, X] as a set of plain classes."""
    if annotation in (Any, object):
        return {object, NoneType}
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return {annotation}
    if hasattr(annotation, "__metadata__"):
        return _members(get_args(annotation)[0])
    origin = get_origin(annotation)
    if isinstance(origin, type) and origin.__name__ != "UnionType":
        return {origin}
    return set().union(*map(_members, get_args(annotation))) or {object}
