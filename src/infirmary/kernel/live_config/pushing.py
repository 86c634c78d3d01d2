"""New versions: from the files in Git, or from an older version."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from infirmary.kernel.clock import Clock, SystemClock

from .layers import ConfigRefused, Content, S, check, merged
from .stores import EtcdStore
from .versions import Version, digest


async def push(folder: Path, environment: str, store: EtcdStore, *, into: type[S], services: Sequence[str], author: str,
               note: str = "", clock: Clock | None = None) -> Version:
    """The new version; or the present one, when nothing has changed."""
    return await _write(store, merged(folder, environment, into, services), author, note, clock)


async def rollback(version: int, store: EtcdStore, *, into: type[S], author: str, note: str = "",
                   clock: Clock | None = None) -> Version:
    """A new version with the content of an old one, if that still fits."""
    content = (await store.version(version)).content
    for service, values in content.items():
        try:
            check(values, into)
        except ConfigRefused as refused:
            raise ConfigRefused(f"version {version}, {service}: {refused}") from refused
    return await _write(store, content, author, note or f"back to version {version}", clock)


async def _write(store: EtcdStore, content: Content, author: str, note: str, clock: Clock | None) -> Version:
    head = await store.head()
    if head.version and head.version.content == content:
        return head.version
    made = Version(version=head.version.version + 1 if head.version else 1, author=author, note=note, content=content,
                   at=(clock or SystemClock()).now(), digest=digest(content))
    await store.write(made, after=head)
    return made
