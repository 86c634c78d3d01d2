"""What proves who somebody is, said by another: the claims of an ID token (OpenID Connect Core 1.0, 3.1.3.7)."""
from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

from msgspec import Meta, Struct, ValidationError, convert

TRIP_LASTS = timedelta(minutes=10)      # to sign in there and come back
ARRIVAL_LASTS = timedelta(minutes=20)   # to say which account is meant, or to register
SKEW = timedelta(minutes=1)             # how far the provider's clock may be from ours
OLDEST = timedelta(minutes=10)          # an ID token is made for the code that was just traded

# Signed with a key that only the provider has, and the digest of `at_hash` that goes with it (3.1.3.6). Neither "none"
# nor anything keyed with what we know too.
ALGORITHMS: Mapping[str, Callable[[bytes], Any]] = {
    "RS256": hashlib.sha256, "PS256": hashlib.sha256, "ES256": hashlib.sha256, "EdDSA": hashlib.sha512}
KEY_TYPES = {"RS256": ("RSA", None), "PS256": ("RSA", None), "ES256": ("EC", "P-256"), "EdDSA": ("OKP", "Ed25519")}

Subject = Annotated[str, Meta(min_length=1, max_length=255)]


class Untrue(Exception):
    """What was said is not to be believed; the reason is for the log, and names nobody."""


class IdToken(Struct, frozen=True):
    """The claims that decide."""

    iss: str
    sub: Subject
    aud: str | list[str]
    exp: float
    iat: float
    nonce: str
    azp: str | None = None
    at_hash: str | None = None


class Person(Struct, frozen=True):
    """What the provider says of somebody. `email` only where it has verified it."""

    email: str
    given_name: str
    family_name: str


def id_token(claims: Mapping[str, Any], *, issuer: str, client_id: str, nonce: str, access_token: str, algorithm: str,
             now: datetime) -> IdToken:
    """The claims of a token whose signature is right; raises Untrue unless they are meant for us, now, for this trip."""
    try:
        said = convert(claims, IdToken)
    except ValidationError as error:
        raise Untrue("claims") from error
    if said.iss != issuer:
        raise Untrue("issuer")
    if said.aud not in (client_id, [client_id]) or said.azp not in (None, client_id):   # we trust no other audience
        raise Untrue("audience")
    if not said.exp > (now - SKEW).timestamp():   # so written, NaN is refused too
        raise Untrue("expired")
    if not (now - OLDEST).timestamp() <= said.iat <= (now + SKEW).timestamp():
        raise Untrue("issued at another time")
    if not hmac.compare_digest(said.nonce.encode(), nonce.encode()):
        raise Untrue("nonce")
    if said.at_hash is not None and not hmac.compare_digest(said.at_hash.encode(), _left_half(access_token, algorithm)):
        raise Untrue("access token")
    return said


def _left_half(access_token: str, algorithm: str) -> bytes:
    digest = ALGORITHMS[algorithm](access_token.encode()).digest()
    return base64.urlsafe_b64encode(digest[:len(digest) // 2]).rstrip(b"=")


def person(claims: Mapping[str, Any]) -> Person:
    """Names are a help for a form; an address nobody has verified is none."""
    texts = {name: value.strip()[:100] if isinstance(value := claims.get(name), str) else ""
             for name in ("given_name", "family_name")}
    email = claims.get("email")
    verified = claims.get("email_verified") is True and isinstance(email, str) and len(email) <= 254 and "@" in email
    return Person(email=str(email).strip() if verified else "", **texts)


def fits(key: Mapping[str, Any], *, algorithm: str, kid: str | None) -> bool:
    """Whether this published key (RFC 7517) may have made such a signature."""
    kind, curve = KEY_TYPES[algorithm]
    return (key.get("kty") == kind and curve in (None, key.get("crv")) and key.get("use", "sig") == "sig"
            and key.get("alg", algorithm) == algorithm and (kid is None or key.get("kid") == kid))


def pair_key(issuer: str, subject: str) -> str:
    """One person of one provider, one key: as they are written, to the letter. A digest, because both together are
    longer than MySQL indexes."""
    return hashlib.sha256(f"{issuer}\0{subject}".encode()).hexdigest()
