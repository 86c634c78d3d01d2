"""The registries: where instances are kept, chosen by the scheme of a URL."""
from __future__ import annotations

from collections.abc import Sequence

from infirmary.kernel.registry import Registry

from .dns import DnsRegistry
from .etcd import EtcdRegistry
from .static import StaticRegistry


def registry(url: str, *, services: Sequence[str] = ()) -> Registry:
    """`etcd://host:port[,host:port]`, `static://name=http://host:port,…` or `dns://{service}.example:8000`.

    `services`: the names to look for; only a DNS has to be told, since nobody can list it."""
    match url.partition("://")[0]:
        case "etcd":
            return EtcdRegistry(url)
        case "static":
            return StaticRegistry(url)
        case "dns":
            return DnsRegistry(url, services)
    raise ValueError(f"No registry is called {url!r}: it begins with etcd://, static:// or dns://")
