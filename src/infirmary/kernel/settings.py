"""Settings: one TOML file, overridden by environment variables. Unknown keys are refused, so a typo is never silent."""
from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

S = TypeVar("S", bound=msgspec.Struct)


class SettingsRefused(Exception):
    """The settings cannot be used; the text says which and why."""


def load(into: type[S], *, prefix: str, file: Path | None = None, environ: Mapping[str, str] | None = None,
         **overrides: Any) -> S:
    """From the file, then the environment (`PREFIX_PUBLIC_URL`; `__` enters a table), then what the command line says."""
    values: dict[str, Any] = tomllib.loads(file.read_text()) if file else {}
    for name, value in (os.environ if environ is None else environ).items():
        if name.startswith(prefix + "_"):
            *tables, leaf = name.removeprefix(prefix + "_").lower().split("__")
            place = values
            for table in tables:
                place = place.setdefault(table, {})
            place[leaf] = value
    values |= {name: value for name, value in overrides.items() if value is not None}
    try:
        return msgspec.convert(values, type=into, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsRefused(f"{file or 'environment'}: {error}") from error
