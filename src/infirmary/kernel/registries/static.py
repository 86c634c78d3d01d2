"""A list in the settings: `static://identity=http://10.0.0.5:8000,identity=http://10.0.0.6:8000`."""
from __future__ import annotations

from collections import Counter
from urllib.parse import urlsplit

from infirmary.kernel.registry import Instance

from .known import Known


class StaticRegistry(Known):
    """Who is on the list is there; nobody can be added or taken away."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._listed = _listed(url)

    async def open(self) -> None:
        await self._learn(self._listed)

    async def register(self, instance: Instance) -> None: ...

    async def withdraw(self, instance: Instance) -> None: ...

    async def close(self) -> None: ...


def _listed(url: str) -> list[Instance]:
    found, count = [], Counter[str]()
    for one in url.removeprefix("static://").split(","):
        service, _, at = (part.strip() for part in one.partition("="))
        if not service or urlsplit(at).scheme not in ("http", "https") or not urlsplit(at).hostname:
            raise ValueError(f"A static registry is written static://name=http://host:port,…, and {one!r} is not")
        count[service] += 1
        found.append(Instance(service=service, id=f"{service}-{count[service]}", url=at.rstrip("/")))
    return found
