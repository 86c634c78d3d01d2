"""Devices that somebody signed in on before (OWASP, "device cookies"): who guesses from elsewhere does not lock them out.

A token is made for one account and one password, and kept nowhere: another password ends it, and so does time.
"""
from __future__ import annotations

import hmac
import secrets
from contextlib import suppress

from infirmary.contexts.identity import domain
from infirmary.kernel.errors import TooManyTries

from .base import Base, base64url
from .throttle import Bucket

NONCE_BYTES, TAG_LETTERS, MOST = 12, 8, 8


class Devices(Base):
    def device_token(self, email_key: str, stored: str) -> str:
        """`stored`: the password as it is kept. What stands before the first dot is the same for all of an account's."""
        said = f"{int(self.clock.now().timestamp())}.{base64url(secrets.token_bytes(NONCE_BYTES))}"
        return f"{base64url(self.derived('device', email_key.encode()))[:TAG_LETTERS]}.{said}.{self._device_proof(email_key, stored, said)}"

    async def known_device(self, tokens: str, email_key: str, stored: str | None) -> Bucket | None:
        """What counts the tries of a device that signed in to this account before; none: it is a stranger, or has become one
        by its tries."""
        for token in tokens.split()[:MOST] if stored else []:
            _, made, nonce, proof = (*token.split("."), "", "", "", "")[:4]
            right = self._device_proof(email_key, stored or "", f"{made}.{nonce}")
            if not hmac.compare_digest(right.encode(), proof.encode()) \
                    or int(made) + domain.DEVICE_KNOWN_FOR.total_seconds() <= self.clock.now().timestamp():
                continue
            bucket = self.throttle.bucket(domain.TRIES_PER_DEVICE, "password", "device", nonce)
            with suppress(TooManyTries):
                await self.throttle.refuse_full([bucket])
                return bucket
        return None

    def _device_proof(self, email_key: str, stored: str, said: str) -> str:
        return base64url(self.derived("device", f"{email_key}\0{stored}\0{said}".encode()))
