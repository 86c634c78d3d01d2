"""A version: what was pushed, by whom, when and why; and what differs between two."""
from __future__ import annotations

import difflib
import hashlib
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from .layers import COMMON, Content


class Version(Struct, frozen=True, kw_only=True):
    """One push, as it is stored."""

    version: int
    author: str
    at: datetime
    note: str
    digest: str
    content: Content


class Head(NamedTuple):
    """The newest version, and etcd's revision of it: what a push is compared with. None and 0 before the first."""

    version: Version | None
    revision: int


def digest(content: Content) -> str:
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()


def diff(before: Version, after: Version) -> list[str]:
    """Unified, a line for each service and key; who has no file of its own has what is common."""
    services = sorted(before.content.keys() | after.content.keys())
    old, new = ([line for service in services for line in _lines(one.content.get(service, one.content[COMMON]), service)]
                for one in (before, after))
    return list(difflib.unified_diff(old, new, f"version {before.version}", f"version {after.version}", n=0, lineterm=""))


def _lines(value: Any, at: str) -> list[str]:
    if isinstance(value, dict) and value:
        return [line for name in sorted(value) for line in _lines(value[name], f"{at}.{name}")]
    return [f"{at}: {msgspec.json.encode(value).decode()}"]
