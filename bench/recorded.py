"""The SQL that one request sends, as a pgbench script: the same statements with other values each time."""
from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Self
from uuid import UUID

from infirmary.kernel.database.drivers import postgres


class Recorder:
    """While it is open, keeps what every PostgreSQL session of this process sends: (sql, arguments)."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Sequence[Any]]] = []

    def __enter__(self) -> Self:
        session, sent = postgres._Session, self.sent
        self._methods = {name: getattr(session, name) for name in ("fetch", "fetch_one", "run")}
        for name, method in self._methods.items():
            async def recorded(self: Any, sql: str, args: Sequence[Any], method: Any = method) -> Any:
                sent.append((sql, args))
                return await method(self, sql, args)
            setattr(session, name, recorded)
        return self

    def __exit__(self, *_: object) -> None:
        for name, method in self._methods.items():
            setattr(postgres._Session, name, method)


def script(sent: Sequence[tuple[str, Sequence[Any]]], *, chosen: dict[UUID, str], grain: int) -> str:
    """A pgbench transaction. Ids in `chosen` become that SQL expression; other ids are new each time, always the same
    one within a transaction; numbers within a day of `grain` move with the variable :grain; the rest stays."""
    fresh: dict[UUID, str] = {}

    def literal(value: Any) -> str:
        match value:
            case None:
                return "NULL"
            case bool():
                return str(value).lower()
            case UUID():
                if value in chosen:
                    return chosen[value]
                return fresh.setdefault(value, f"md5(:fresh || '-{len(fresh)}')::uuid")
            case int():
                return f"(:grain + {value - grain})" if abs(value - grain) < 288 else str(value)
            case datetime() | date():
                return text(value.isoformat())
            case list() | tuple():
                return f"ARRAY[{', '.join(map(literal, value))}]"
        return text(str(value))

    def text(value: str) -> str:
        """A literal without a colon: pgbench takes what follows one for a variable, inside quotes too."""
        if value.startswith(("{", "[")):   # JSON: a blank after those between, an escape for those within
            value = re.sub(r'(?<!"):', r"\\u003a", value).replace('":', '": ')
            return "'" + value.replace("'", "''") + "'"
        return "('" + value.replace("'", "''").replace(":", "' || chr(58) || '") + "')"

    lines = []
    for sql, args in sent:
        if sql in ("BEGIN", "COMMIT"):
            lines.append(f"{sql};")
            continue
        values = [literal(arg) for arg in args]
        # Substituted by position; longer numbers first would not matter, the pattern takes the whole number.
        lines.append(re.sub(r"\$(\d+)", lambda found, values=values: values[int(found[1]) - 1], sql) + ";")   # type: ignore[misc]
    return "\n".join(lines) + "\n"
