"""Who gets in with a token, and who does not."""
from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infirmary.kernel.access import Caller
from infirmary.kernel.clock import HeldClock
from infirmary.kernel.errors import NotSignedIn, Unavailable
from infirmary.kernel.tokens import (
    LIFETIME,
    PUBLISHED_AHEAD,
    RETIRED_AFTER,
    STALE_AFTER,
    KeyRing,
    Revocations,
    Signer,
    Verifier,
    public_keys,
)

MONDAY = datetime(2027, 3, 1, 8, 0, tzinfo=UTC)
ISSUER, AUDIENCE = "https://hospital.test", "infirmary"
ACCOUNT, SESSION, PATIENT = uuid4(), uuid4(), uuid4()


class Desk:
    """A signer and a verifier with the same keys, and a clock in the hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = HeldClock(MONDAY)
        self.ring = KeyRing(folder, self.clock)
        self.signer = Signer(self.ring, issuer=ISSUER, audience=AUDIENCE, clock=self.clock)
        self.revocations = Revocations(self.clock)
        self.verifier = Verifier(public_keys(KeyRing(folder, self.clock)), issuer=ISSUER, audience=AUDIENCE,
                                 clock=self.clock, revocations=self.revocations)

    def token(self) -> str:
        return self.signer.sign(account_id=ACCOUNT, session_id=SESSION, name="Pat Ient", roles=["patient"],
                                subjects={"patient_id": PATIENT})

    def wait(self, time: timedelta) -> None:
        """The feed of revocations goes on meanwhile."""
        self.clock.advance(time)
        self.revocations.learn({})

    def lets_in(self, token: str) -> bool:
        try:
            return self.verifier.caller(token).account_id == ACCOUNT
        except NotSignedIn:
            return False

    def claims(self, **other: Any) -> dict[str, Any]:
        now = int(self.clock.now().timestamp())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": str(ACCOUNT), "sid": str(SESSION), "name": "Pat Ient",
                  "roles": ["patient"], "subjects": {}, "iat": now, "exp": now + 600, **other}
        return {name: value for name, value in claims.items() if value is not ...}

    def signed(self, claims: dict[str, Any] | None = None, header: dict[str, Any] | None = None,
               key: Ed25519PrivateKey | None = None) -> str:
        """A token made by hand, with our own key unless another is given."""
        first = {"alg": "EdDSA", "typ": "at+jwt", "kid": self.ring.current.kid, **(header or {})}
        text = written({name: value for name, value in first.items() if value is not ...}, claims or self.claims())
        return f"{text}.{b64((key or self.ring.current.signing).sign(text.encode()))}"


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def written(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "keys")


# --- tokens of our own -----------------------------------------------------------------------------------------------

def test_our_own_token_says_who_asks(desk: Desk) -> None:
    caller = desk.verifier.caller(desk.token())
    assert caller == Caller(account_id=ACCOUNT, name="Pat Ient", roles=frozenset({"patient"}), session_id=SESSION,
                            subjects={"account_id": ACCOUNT, "patient_id": PATIENT}, token=caller.token)


def test_the_hand_made_token_of_these_tests_is_let_in_so_the_forgeries_fail_for_their_own_reason(desk: Desk) -> None:
    assert desk.lets_in(desk.signed())


def test_a_token_follows_rfc_9068(desk: Desk) -> None:
    token = desk.token()
    assert jwt.get_unverified_header(token) == {"alg": "EdDSA", "typ": "at+jwt", "kid": desk.ring.current.kid}
    claims = jwt.decode(token, options={"verify_signature": False})
    assert {"iss", "exp", "aud", "sub", "client_id", "iat", "jti"} <= claims.keys()


def test_a_token_ends_to_the_second_also_when_it_is_remembered(desk: Desk) -> None:
    token = desk.token()
    assert desk.lets_in(token)
    desk.wait(LIFETIME - timedelta(seconds=1))
    assert desk.lets_in(token)
    desk.wait(timedelta(seconds=1))
    assert not desk.lets_in(token)


def test_a_token_from_a_clock_a_minute_ahead_is_let_in(desk: Desk) -> None:
    assert desk.lets_in(desk.signed(desk.claims(iat=MONDAY.timestamp() + 60, nbf=MONDAY.timestamp() + 60)))


def test_a_remembered_token_is_not_verified_again(desk: Desk) -> None:
    token = desk.token()
    assert desk.verifier.caller(token) is desk.verifier.caller(token)


# --- forgeries -------------------------------------------------------------------------------------------------------

def forgeries(desk: Desk) -> Iterator[tuple[str, str]]:
    yield from other_algorithms(desk)
    yield from other_keys(desk)
    yield from other_claims(desk)
    yield from other_headers(desk)
    yield from damaged(desk)


def other_algorithms(desk: Desk) -> Iterator[tuple[str, str]]:
    header = {"typ": "at+jwt", "kid": desk.ring.current.kid}
    signature = desk.token().rpartition(".")[2]
    for alg in ("none", "None", "NONE", "nOnE", "", None, 0, [], "EdDSA ", "eddsa", "Ed25519"):
        for last in ("", signature):
            yield f"alg {alg!r}", f"{written({**header, 'alg': alg}, desk.claims())}.{last}"
    yield "no alg", f"{written(header, desk.claims())}.{signature}"
    public = desk.ring.current.public
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    jwk = desk.ring.current.jwk
    secrets = {
        "raw": public.public_bytes_raw(), "raw hex": public.public_bytes_raw().hex().encode(), "x": jwk["x"].encode(),
        "pem": pem, "pem stripped": pem.strip(), "pem body": b"".join(pem.splitlines()[1:-1]),
        "der": public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
        "openssh": public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH),
        "jwk": json.dumps(jwk).encode(), "jwk compact": json.dumps(jwk, separators=(",", ":")).encode(),
        "jwk sorted": json.dumps(jwk, sort_keys=True).encode(), "jwks": json.dumps(desk.ring.jwks()).encode(),
        "kid": jwk["kid"].encode(), "empty": b""}
    for alg, digest in {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}.items():
        for name, secret in secrets.items():
            text = written({**header, "alg": alg}, desk.claims())
            yield f"{alg} with the public key ({name})", f"{text}.{b64(hmac.digest(secret, text.encode(), digest))}"
            text = written({**header, "alg": "EdDSA"}, desk.claims())
            yield f"{alg} called EdDSA ({name})", f"{text}.{b64(hmac.digest(secret, text.encode(), digest))}"
    theirs: dict[str, Any] = {"ES256": ec.generate_private_key(ec.SECP256R1()),
                              "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048)}
    for alg, key in theirs.items():
        yield alg, jwt.encode(desk.claims(), key, algorithm=alg, headers=header)


def other_keys(desk: Desk) -> Iterator[tuple[str, str]]:
    theirs = Ed25519PrivateKey.generate()
    yield "another key under our kid", desk.signed(key=theirs)
    ours = desk.ring.current.kid
    for kid in (..., "", "0" * 16, ours.upper() + "x", ours + " ", f"../{ours}", f"keys/{ours}.key", "' OR 1=1 --", "\0",
                0, None, [ours], {"kid": ours}, "ключ", "x" * 3000):
        yield f"kid {kid!r:.40}", desk.signed(header={"kid": kid})
        yield f"another key and kid {kid!r:.40}", desk.signed(header={"kid": kid}, key=theirs)


def other_claims(desk: Desk) -> Iterator[tuple[str, str]]:
    now = int(desk.clock.now().timestamp())
    for name, values in {
        "aud": [..., "", None, "someone-else", "infirmary ", ["someone-else"], [AUDIENCE, "someone-else"], {}],
        "iss": [..., "", None, "https://hospital.test/", "https://hospital.test.evil.test", [ISSUER]],
        "exp": [..., None, "soon", now, now - 1, now - 86_400, 0, -1, []],
        "iat": [..., None, "now", now + 61, now + 86_400, 10**12, []],
        "nbf": [now + 61, now + 86_400, 10**12, "now", []],
        "sub": [..., None, "", "admin", 0, str(ACCOUNT)[:-1]],
        "sid": [..., None, "", "session", 0],
        "roles": [..., None, 0],
        "subjects": [None, 0, {"patient_id": "everybody"}, {"patient_id": None}],
    }.items():
        for value in values:
            yield f"{name} {value!r}", desk.signed(desk.claims(**{name: value}))


def other_headers(desk: Desk) -> Iterator[tuple[str, str]]:
    for typ in (..., "JWT", "jwt", "at+JWT ", "application/at+jwt", "", None, "logout+jwt", "id+jwt"):
        yield f"typ {typ!r}", desk.signed(header={"typ": typ})
    theirs = Ed25519PrivateKey.generate()
    jwk = {**json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(theirs.public_key())), "kid": desk.ring.current.kid}
    for name, value in {"jku": "https://evil.test/jwks.json", "jwk": jwk, "x5u": "https://evil.test/cert.pem",
                        "x5c": ["MIIB"], "x5t": "AAAA", "x5t#S256": "AAAA", "crit": ["exp"], "b64": False,
                        "zip": "DEF", "cty": "JWT", "enc": "A256GCM"}.items():
        yield f"{name} with their key", desk.signed(header={name: value}, key=theirs)
        yield f"{name} with our key", desk.signed(header={name: value})


def damaged(desk: Desk) -> Iterator[tuple[str, str]]:
    token = desk.token()
    header, payload, signature = token.split(".")
    for length in range(0, len(token), 13):
        yield f"cut to {length}", token[:length]
    for at in range(0, len(token), 7):
        other = "A" if token[at] != "A" else "Q"   # differs in a high bit: the last character's low bits mean nothing
        yield f"changed at {at}", token[:at] + other + token[at + 1:]
    yield from {
        "nothing": "", "dots": "..", "space": " ", "garbage": "not a token", "two parts": f"{header}.{payload}",
        "four parts": f"{token}.{signature}", "no signature": f"{header}.{payload}.", "zero signature": f"{header}.{payload}." + "A" * 86,
        "signature twice": f"{header}.{payload}.{signature}{signature}", "another's signature": f"{header}.{payload}.{desk.token().rpartition('.')[2]}",
        "in quotes": f'"{token}"', "with a line": f"{token}\n", "with a space before": f" {token}",
        "non-ASCII": "é" + token, "full-width dots": token.replace(".", "。"), "a lone surrogate": "\udc80" + token,
        "a NUL": token + "\0", "huge": token + "A" * 100_000, "payload no JSON": f"{header}.{b64(b'{')}.{signature}",
        "payload a list": f"{header}.{b64(b'[]')}.{signature}", "header no JSON": f"{b64(b'{')}.{payload}.{signature}",
        "header a list": f"{b64(b'[]')}.{payload}.{signature}", "deeply nested": f"{b64(b'[' * 2000)}.{payload}.{signature}",
        "bearer twice": f"Bearer {token}", "JSON form": json.dumps({"protected": header, "payload": payload, "signature": signature}),
    }.items()
    dice = random.Random(1)
    for at in range(100):
        yield f"noise {at}", "".join(chr(dice.choice([*range(32, 127), 233, 0x4e2d, 0x1f600])) for _ in range(dice.randrange(400)))


def test_no_forgery_is_let_in(desk: Desk) -> None:
    tried = 0
    for name, token in forgeries(desk):
        tried += 1
        assert not desk.lets_in(token), name
    assert tried >= 400


def test_a_forgery_is_refused_after_the_true_token_was_let_in(desk: Desk) -> None:
    token = desk.token()
    assert desk.lets_in(token)
    header, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    forged = b64(json.dumps({**claims, "roles": ["admin"]}).encode())
    assert not desk.lets_in(f"{header}.{forged}.{signature}")


def test_an_expired_token_can_still_be_read_by_whoever_ends_its_session(desk: Desk) -> None:
    token = desk.token()
    desk.wait(timedelta(days=1))
    assert desk.verifier.read(token).caller.session_id == SESSION


# --- what was revoked ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("whose", [ACCOUNT, SESSION])
def test_what_was_issued_before_the_revocation_is_void_and_what_comes_after_is_good(desk: Desk, whose: UUID) -> None:
    before = desk.token()
    assert desk.lets_in(before)
    desk.revocations.learn({whose: desk.clock.now()})
    desk.clock.advance(timedelta(milliseconds=1))
    assert not desk.lets_in(before)
    assert desk.lets_in(desk.token())


def test_somebody_elses_revocation_does_not_concern_me(desk: Desk) -> None:
    desk.revocations.learn({uuid4(): desk.clock.now()})
    assert desk.lets_in(desk.token())


def test_when_the_feed_of_revocations_is_silent_nobody_is_trusted(desk: Desk) -> None:
    token = desk.token()
    desk.clock.advance(STALE_AFTER)
    assert desk.lets_in(token)
    desk.clock.advance(timedelta(seconds=1))
    with pytest.raises(Unavailable) as refused:
        desk.verifier.caller(token)
    assert refused.value.retry_after
    desk.revocations.learn({})
    assert desk.lets_in(token)


# --- keys ------------------------------------------------------------------------------------------------------------

def test_the_next_key_is_published_before_it_signs_and_the_last_one_verifies_after(desk: Desk) -> None:
    first = desk.ring.current.kid
    before = desk.token()
    second = desk.ring.rotate().kid
    assert [key["kid"] for key in desk.ring.jwks()["keys"]] == [first, second]
    assert desk.ring.current.kid == first
    desk.wait(PUBLISHED_AHEAD - timedelta(seconds=1))
    late = desk.token()
    desk.wait(timedelta(seconds=1))
    assert desk.ring.current.kid == second
    assert not desk.lets_in(before)   # ten minutes old
    assert desk.lets_in(late)
    assert jwt.get_unverified_header(desk.token())["kid"] == second


def test_rotating_every_thirty_seconds_refuses_no_living_token(desk: Desk) -> None:
    alive: list[tuple[datetime, str]] = []
    for _ in range(120):
        desk.wait(timedelta(seconds=30))
        desk.ring.rotate()
        now = desk.clock.now()
        alive = [(made, token) for made, token in [*alive, (now, desk.token())] if made + LIFETIME > now]
        fresh = Verifier(public_keys(KeyRing(desk.folder, desk.clock)), issuer=ISSUER, audience=AUDIENCE,
                         clock=desk.clock, revocations=desk.revocations)
        assert all(fresh.caller(token) for _, token in alive)
    assert len(alive) == 20


def test_a_key_that_no_living_token_was_signed_with_is_forgotten(desk: Desk) -> None:
    first = desk.ring.current.kid
    desk.ring.rotate()
    desk.wait(PUBLISHED_AHEAD + RETIRED_AFTER)
    third = desk.ring.rotate().kid
    assert first in [key.kid for key in desk.ring.keys]
    desk.wait(timedelta(seconds=1))
    fourth = desk.ring.rotate().kid
    kids = [key.kid for key in desk.ring.keys]
    assert first not in kids
    assert kids[-2:] == [third, fourth]


def test_a_ring_sees_what_another_process_has_rotated_and_removed(desk: Desk) -> None:
    token = desk.token()
    assert desk.lets_in(token)
    other = KeyRing(desk.folder, desk.clock)
    made = other.rotate()
    assert made in desk.ring.keys
    for file in desk.folder.iterdir():
        file.unlink()
    assert desk.ring.keys == []
    fresh = Verifier(public_keys(desk.ring), issuer=ISSUER, audience=AUDIENCE, clock=desk.clock,
                     revocations=desk.revocations)
    with pytest.raises(NotSignedIn):
        fresh.caller(token)


def test_a_half_written_key_is_not_read(desk: Desk) -> None:
    desk.token()
    (desk.folder / "0011223344556677.draft").write_bytes(b'{"kid": "00')
    assert len(desk.ring.keys) == 1


def test_keys_are_for_their_owner_only_and_never_shown(desk: Desk) -> None:
    key = desk.ring.current
    file = desk.folder / f"{key.kid}.key"
    assert (desk.folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)
    assert key.private not in repr(key)
    assert key.private not in str(desk.ring.jwks())
    assert all(set(one) == {"kty", "crv", "x", "kid", "alg", "use"} for one in desk.ring.jwks()["keys"])


@pytest.mark.parametrize("make", [lambda ring: ring.current, lambda ring: ring.jwks(), lambda ring: ring.rotate()])
def test_the_first_key_is_made_when_it_is_first_needed_and_signs_at_once(
        desk: Desk, make: Callable[[KeyRing], object]) -> None:
    make(desk.ring)
    assert len(desk.ring.keys) == 1
    assert desk.lets_in(desk.token())
    assert len(desk.ring.keys) == 1
