"""What is refused when a module is imported, so that it cannot go wrong at three in the morning."""
from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import Column, Index, Integer, MetaData, String, Table, UniqueConstraint, func

from infirmary.kernel.database.columns import Id, UtcDateTime
from infirmary.kernel.database.rows import Rows
from infirmary.kernel.database.unique import unique_name


class Two(msgspec.Struct, frozen=True):
    id: UUID
    name: str


@pytest.mark.parametrize("columns", [
    [Column("name", String(9), nullable=False), Column("id", Id, primary_key=True)],      # order
    [Column("id", Id, primary_key=True), Column("name", Integer, nullable=False)],        # type
    [Column("id", Id, primary_key=True), Column("name", Id, nullable=False)],             # type, of our own
    [Column("id", UtcDateTime, primary_key=True), Column("name", String(9), nullable=False)],
    [Column("id", Id, primary_key=True), Column("name", String(9))],                      # NULL
    [Column("id", Id, primary_key=True)],                                                 # too few
    [Column("id", Id, primary_key=True), Column("name", String(9), nullable=False), Column("x", Integer)],
    [Column("id", Id, primary_key=True), Column("name", String(9), nullable=False, default="x")],
], ids=["order", "type", "own type", "other type", "NULL", "too few", "too many", "Python default"])
def test_a_struct_that_does_not_fit_its_table_is_refused(columns: list[Column[Any]]) -> None:
    with pytest.raises(TypeError):
        Rows(Table("two", MetaData(), *columns), Two, version=None)


def test_a_unique_constraint_without_a_name_is_given_one() -> None:
    unnamed, named = UniqueConstraint("name"), Index("two_as_we_say", func.lower("name"), unique=True)
    Rows(Table("two", MetaData(), Column("id", Id, primary_key=True), Column("name", String(9), nullable=False),
               unnamed, named), Two, version=None)
    assert unnamed.name == "two_name"
    assert unique_name("two.name") == "two_name"
    assert unique_name("two.id") == "two"
    assert unique_name("index 'two_as_we_say'") == "two_as_we_say"


def test_a_constraint_whose_name_postgresql_would_cut_off_is_refused() -> None:
    long = Column("name" + "x" * 59, String(9), nullable=False, unique=True)
    fields = msgspec.defstruct("Long", [("id", UUID), (str(long.name), str)], frozen=True)
    with pytest.raises(TypeError, match="shorter name"):
        Rows(Table("two", MetaData(), Column("id", Id, primary_key=True), long), fields, version=None)
