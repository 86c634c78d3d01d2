"""Names for what must be unique: given once, when the table is declared, so that a clash reads the same everywhere."""
from __future__ import annotations

from sqlalchemy import Index, Table, UniqueConstraint

LONGEST = 63   # PostgreSQL cuts longer names off, and would then report a name that nobody wrote
_named: dict[str, str] = {}   # "person.email, person.city", which is all that SQLite says -> the constraint's name


def name_unique(table: Table) -> None:
    """Unnamed unique constraints are called `table_column_column` (each engine would choose differently)."""
    for one in (*table.constraints, *table.indexes):
        if isinstance(one, UniqueConstraint) or (isinstance(one, Index) and one.unique):
            columns = [column.name for column in one.columns]
            one.name = name = str(one.name or "_".join([table.name, *columns]))
            if len(name) > LONGEST:
                raise TypeError(f"{name}: give this constraint a shorter name")
            _named[_as_sqlite_says(table, columns)] = name
    _named[_as_sqlite_says(table, [column.name for column in table.primary_key])] = table.name


def unique_name(said: str) -> str:
    """From SQLite's `table.column, table.column`, or `index 'name'` where the index holds an expression."""
    return _named.get(said) or said.removeprefix("index ").strip("'")


def _as_sqlite_says(table: Table, columns: list[str]) -> str:
    return ", ".join(f"{table.name}.{name}" for name in columns)
