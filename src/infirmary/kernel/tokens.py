"""Access tokens (RFC 9068, EdDSA): keys on disk with rotation, signing, verifying, and what was revoked since."""
from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from jwt.algorithms import OKPAlgorithm

from .access import Caller, caller_of
from .clock import Clock
from .errors import NotSignedIn, Unavailable

LIFETIME = timedelta(minutes=10)
PUBLISHED_AHEAD = timedelta(minutes=10)   # twice as long as anybody may keep our key set
RETIRED_AFTER = 2 * LIFETIME
CACHED_TOKENS = 20_000
STALE_AFTER = timedelta(seconds=30)
AHEAD = timedelta(minutes=1)              # how far the signer's clock may be before ours
LONGEST = 4000                            # characters of a token; ours have some 600
HEADER = {"alg", "typ", "kid"}            # exactly these: jku, jwk, x5u and crit have no business here


class Key(msgspec.Struct, frozen=True, dict=True):
    """One signing key. It signs from `active_from` on; until then others have time to learn it."""

    kid: str
    active_from: datetime
    private: str   # base64url of the 32 raw bytes, as `d` in RFC 8037

    def __repr__(self) -> str:   # never the key itself
        return f"Key({self.kid}, active_from={self.active_from})"

    @cached_property
    def signing(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(jwt.utils.base64url_decode(self.private))

    @cached_property
    def public(self) -> Ed25519PublicKey:
        return self.signing.public_key()

    @property
    def jwk(self) -> dict[str, Any]:
        public: dict[str, Any] = OKPAlgorithm.to_jwk(self.public, as_dict=True)
        return {**public, "kid": self.kid, "alg": "EdDSA", "use": "sig"}


class KeyRing:
    """The signing keys in a folder that only this service can read: next, current and previous."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder, self._clock = folder, clock
        self._known: dict[Path, Key] = {}

    @property
    def keys(self) -> list[Key]:
        """All keys, oldest first, as the folder holds them now: another process may have rotated them."""
        files = set(self._folder.glob("*.key"))
        if files != self._known.keys():
            kept = {file: key for file, key in self._known.items() if file in files}
            for file in files - kept.keys():
                with contextlib.suppress(FileNotFoundError):   # retired by another process since we looked
                    kept[file] = msgspec.json.decode(file.read_bytes(), type=Key)
            self._known = kept
        return sorted(self._known.values(), key=lambda key: (key.active_from, key.kid))

    @property
    def current(self) -> Key:
        now = self._clock.now()
        active = [key for key in self.keys if key.active_from <= now]
        return active[-1] if active else self._add(now)

    def jwks(self) -> dict[str, Any]:
        return {"keys": [key.jwk for key in (self.keys or [self.current])]}

    def rotate(self) -> Key:
        """Publish the next key now, sign with it a little later, and forget keys that no living token was signed with."""
        now = self._clock.now()
        new = self._add(now + PUBLISHED_AHEAD if self.keys else now)
        signing_since = {older.kid: newer.active_from for older, newer in zip(self.keys, self.keys[1:], strict=False)}
        for key in self.keys:
            if key.kid in signing_since and signing_since[key.kid] + RETIRED_AFTER < now:
                (self._folder / f"{key.kid}.key").unlink(missing_ok=True)
        return new

    def _add(self, active_from: datetime) -> Key:
        raw = Ed25519PrivateKey.generate().private_bytes_raw()
        key = Key(secrets.token_hex(8), active_from, jwt.utils.base64url_encode(raw).decode())
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = self._folder / f"{key.kid}.key"
        draft = file.with_suffix(".draft")   # renamed when it is whole: others list the folder at any time
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:   # noqa: PTH123 – needs the mode
            out.write(msgspec.json.encode(key))
            out.flush()
            os.fsync(out.fileno())
        draft.rename(file)
        return key


class Ring(Protocol):
    """Who holds keys to sign with."""

    @property
    def current(self) -> Key: ...


class DerivedKey:
    """One key, the same for all who share a secret: services prove with it that they belong to the installation."""

    def __init__(self, secret: bytes, kid: str) -> None:
        self.current = Key(kid, datetime.min.replace(tzinfo=UTC), jwt.utils.base64url_encode(secret).decode())

    def public(self, kid: str) -> Ed25519PublicKey | None:
        return self.current.public if kid == self.current.kid else None


class PublishedKeys:
    """The key set of the service that signs, as last fetched. Until the first time, nobody can be told from anybody."""

    def __init__(self) -> None:
        self._known: dict[str, Ed25519PublicKey] | None = None

    def learn(self, keys: Iterable[Mapping[str, Any]]) -> None:
        self._known = {key["kid"]: Ed25519PublicKey.from_public_bytes(jwt.utils.base64url_decode(key["x"]))
                       for key in keys if key.get("kty") == "OKP" and key.get("crv") == "Ed25519"}

    def public(self, kid: str) -> Ed25519PublicKey | None:
        if self._known is None:
            raise Unavailable("Sign-ins cannot be checked just now. Nothing was lost; try again shortly.", retry_after=1)
        return self._known.get(kid)


class Signer:
    def __init__(self, ring: Ring, *, issuer: str, audience: str, clock: Clock) -> None:
        self._ring, self._issuer, self._audience, self._clock = ring, issuer, audience, clock

    def sign(self, *, account_id: UUID, session_id: UUID, name: str, roles: list[str],
             subjects: Mapping[str, UUID]) -> str:
        now = self._clock.now()
        key = self._ring.current
        return jwt.encode(
            {"iss": self._issuer, "aud": self._audience, "client_id": self._audience, "jti": secrets.token_hex(8),
             "sub": str(account_id), "sid": str(session_id), "name": name, "roles": roles,
             "subjects": {field: str(value) for field, value in subjects.items()},
             # With its fraction: a token issued in the second after a revocation is a good one.
             "iat": now.timestamp(), "exp": int((now + LIFETIME).timestamp())},
            key.signing, algorithm="EdDSA", headers={"typ": "at+jwt", "kid": key.kid})


class Revocations:
    """What ended before its token did. Fed from the identity service every few seconds; when the feed has been silent
    for too long, nobody is trusted (fail closed)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: dict[UUID, datetime] = {}   # session or account -> tokens issued before this are void
        self.heard_at = clock.now()

    def learn(self, revoked: Mapping[UUID, datetime]) -> None:
        """The whole list as it stands now."""
        self._since = dict(revoked)
        self.heard_at = self._clock.now()

    def check(self, caller: Caller, issued_at: float) -> None:
        if self._clock.now() - self.heard_at > STALE_AFTER:
            raise Unavailable("Sign-ins cannot be checked just now. Nothing was lost; try again shortly.", retry_after=5)
        for whose in (caller.session_id, caller.account_id):
            if whose is not None and (since := self._since.get(whose)) and issued_at <= since.timestamp():
                raise NotSignedIn("This sign-in has ended. Sign in again.")


class Read(NamedTuple):
    """What one of our own tokens says."""

    caller: Caller
    issued_at: float
    expires_at: float


class Verifier:
    """Token -> Caller. One algorithm and pinned keys; verified tokens are cached, but expiry and revocation are looked
    at every time."""

    def __init__(self, public: Callable[[str], Ed25519PublicKey | None], *, issuer: str, audience: str, clock: Clock,
                 revocations: Revocations | None) -> None:
        self._public, self._issuer, self._audience, self._clock = public, issuer, audience, clock
        self._revocations = revocations
        self._known: dict[str, Read] = {}

    def caller(self, token: str) -> Caller:
        known = self._known.get(token)
        if known is None:
            known = self.read(token)
            if len(self._known) >= CACHED_TOKENS:
                self._known.clear()
            self._known[token] = known
        if self._clock.now().timestamp() >= known.expires_at:
            self._known.pop(token, None)
            raise NotSignedIn("Your sign-in has expired. Sign in again, or refresh it.")
        if self._revocations is not None:
            self._revocations.check(known.caller, known.issued_at)
        return known.caller

    def read(self, token: str) -> Read:
        """What it says if it is ours, even when it has expired or was revoked."""
        try:
            if len(token) > LONGEST:
                raise NotSignedIn
            header = jwt.get_unverified_header(token)
            if header.keys() != HEADER or header["typ"] != "at+jwt":
                raise NotSignedIn
            key = self._public(header["kid"])
            if key is None:
                raise NotSignedIn
            claims = jwt.decode(token, key, algorithms=["EdDSA"], audience=self._audience, issuer=self._issuer,
                                options={"require": ["exp", "iat", "sub", "sid", "roles"], "strict_aud": True,
                                         # PyJWT would ask the machine's clock; the times are looked at below.
                                         "verify_exp": False, "verify_iat": False, "verify_nbf": False})
            read = Read(caller_of(claims, token), float(claims["iat"]), float(claims["exp"]))
            if max(read.issued_at, float(claims.get("nbf", 0))) > (self._clock.now() + AHEAD).timestamp():
                raise NotSignedIn
            return read
        except (jwt.PyJWTError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise NotSignedIn from error


def public_keys(ring: KeyRing) -> Callable[[str], Ed25519PublicKey | None]:
    """Look a key up in our own ring (a remote service asks the published key set instead)."""
    return lambda kid: next((key.public for key in ring.keys if key.kid == kid), None)
