"""Where those are who deliver messages, and what they want to see."""
from __future__ import annotations

from pathlib import Path


def port_in(file: Path) -> int | None:
    """That a catcher has written; None while it is not up."""
    try:
        return int(file.read_text())
    except (FileNotFoundError, ValueError):
        return None


def secret_in(file: str) -> str | None:
    """Read at each message: it may be changed without a restart."""
    return Path(file).read_text().strip() if file else None
