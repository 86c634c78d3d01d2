"""A passkey's device in software: makes keys and signs with them, as WebAuthn Level 3 has it, and lies where it is told to."""
from __future__ import annotations

import base64
import hashlib
import json
import os
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT, VERIFIED, MADE = 0x01, 0x04, 0x40   # flags of authenticator data (6.1)


class Authenticator:
    """One passkey on one device, used by pages of `origin`. `uses` is what its counter shows next."""

    def __init__(self, origin: str = "https://hospital.test", *, host: str = "", counts: bool = True) -> None:
        self.origin, self.counts, self.uses = origin, counts, 1 if counts else 0
        self.host = host or origin.partition("://")[2].partition(":")[0]
        self.id, self.handle = os.urandom(20), ""
        self._key = ec.generate_private_key(ec.SECP256R1())

    def makes(self, options: dict[str, Any], *, flags: int = PRESENT | VERIFIED, **said: Any) -> dict[str, Any]:
        """What the browser answers to `create`, as its toJSON writes it; `said` is added to the client data."""
        self.handle = options["user"]["id"]
        numbers = self._key.public_key().public_numbers()
        key = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)})
        data = self._data(flags | MADE) + bytes(16) + len(self.id).to_bytes(2) + self.id + key
        return self._answer({"clientDataJSON": text(self._said("webauthn.create", options, said)),
                             "attestationObject": text(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})),
                             "transports": ["internal"]})

    def signs(self, options: dict[str, Any], *, flags: int = PRESENT | VERIFIED, **said: Any) -> dict[str, Any]:
        """What the browser answers to `get`."""
        data, client = self._data(flags), self._said("webauthn.get", options, said)
        signature = self._key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return self._answer({"clientDataJSON": text(client), "authenticatorData": text(data),
                             "signature": text(signature), "userHandle": self.handle})

    def _said(self, kind: str, options: dict[str, Any], said: dict[str, Any]) -> bytes:
        return json.dumps({"type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": False,
                           **said}).encode()

    def _data(self, flags: int) -> bytes:
        shown, self.uses = self.uses, self.uses + self.counts
        return hashlib.sha256(self.host.encode()).digest() + bytes([flags]) + shown.to_bytes(4)

    def _answer(self, response: dict[str, Any]) -> dict[str, Any]:
        return {"id": text(self.id), "rawId": text(self.id), "type": "public-key", "response": response,
                "authenticatorAttachment": "platform", "clientExtensionResults": {}}


def text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
