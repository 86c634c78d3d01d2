"""Secrets that open one thing to whoever holds them, such as a private link. Shown once; only a digest is kept."""
from __future__ import annotations

import hashlib
import secrets


def new_secret() -> str:
    """256 random bits, for an address."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """What is kept of it. Nobody guesses a secret of that length, so it needs neither salt nor a slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()
