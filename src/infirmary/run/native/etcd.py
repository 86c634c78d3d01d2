"""etcd on this machine: one node, on 127.0.0.1, for a hospital that runs on one machine."""
from __future__ import annotations

from pathlib import Path


def command(folder: Path, *, client: int, peer: int, program: str = "etcd") -> list[str]:
    """Starts it with its data in `folder`; services ask at the port `client`. It logs warnings only."""
    for_clients, for_peers = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
    return [program, "--name", "infirmary", "--data-dir", str(folder),
            "--listen-client-urls", for_clients, "--advertise-client-urls", for_clients,
            "--listen-peer-urls", for_peers, "--initial-advertise-peer-urls", for_peers,
            "--initial-cluster", f"infirmary={for_peers}",
            "--auto-compaction-mode", "periodic", "--auto-compaction-retention", "1h",
            "--logger", "zap", "--log-level", "warn"]


def address(client: int) -> str:
    """As the settings name it (`services.registry`, `services.config`)."""
    return f"etcd://127.0.0.1:{client}"
