"""Secrets that must be read again, encrypted for one place: AES-256-GCM, bound to what they belong to."""
from __future__ import annotations

import base64
import os

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


def sealed(key: bytes, secret: bytes, *, of: bytes) -> str:
    """`key` 32 bytes. What is sealed `of` one thing cannot be opened as another's."""
    nonce = os.urandom(NONCE_BYTES)
    return base64.b64encode(nonce + AESGCM(key).encrypt(nonce, secret, of)).decode()


def opened(key: bytes, made: str, *, of: bytes) -> bytes:
    """Raises cryptography's InvalidTag for what was sealed with another key, or of something else."""
    raw = base64.b64decode(made)
    return AESGCM(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], of)
