"""People are signed for by identity, services by the installation's secret, and neither can play the other."""
from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from infirmary.kernel.clock import SystemClock
from infirmary.kernel.errors import NotSignedIn, Unavailable
from infirmary.kernel.tokens import DerivedKey, KeyRing, PublishedKeys, Revocations, Signer, public_keys
from infirmary.language import ADMIN, SERVICE, service
from infirmary.run.trust import SERVICES, Trust

CLOCK, ISSUER = SystemClock(), "https://hospital.test"


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return KeyRing(tmp_path, CLOCK)


def trust(ring: KeyRing, secret: bytes = b"s" * 32) -> Trust:
    return Trust(public_keys(ring), secret, issuer=ISSUER, clock=CLOCK, revocations=Revocations(CLOCK))


def signed(ring: KeyRing | DerivedKey, audience: str, *roles: str) -> str:
    return Signer(ring, issuer=ISSUER, audience=audience, clock=CLOCK).sign(
        account_id=uuid4(), session_id=uuid4(), name="Somebody", roles=list(roles), subjects={})


def test_a_service_is_known_wherever_the_secret_is(ring: KeyRing) -> None:
    caller = trust(ring).caller(trust(ring).sign(service("appointments")))
    assert (caller.name, caller.roles) == ("appointments", {SERVICE})


def test_a_service_of_another_installation_is_nobody(ring: KeyRing) -> None:
    with pytest.raises(NotSignedIn):
        trust(ring).caller(trust(ring, b"x" * 32).sign(service("appointments")))


def test_a_person_is_never_a_service(ring: KeyRing) -> None:
    assert trust(ring).caller(signed(ring, "infirmary", ADMIN)).roles == {ADMIN}
    for roles in ([SERVICE], [ADMIN, SERVICE]):
        with pytest.raises(NotSignedIn):
            trust(ring).caller(signed(ring, "infirmary", *roles))


def test_the_services_key_speaks_for_no_person(ring: KeyRing) -> None:
    guard = trust(ring)
    key = DerivedKey(b"k" * 32, "services")
    for forged in (signed(key, SERVICES, SERVICE), signed(key, "infirmary", ADMIN)):   # some other secret
        with pytest.raises(NotSignedIn):
            guard.caller(forged)
    own = guard._signer   # the right key, but for a person
    with pytest.raises(NotSignedIn):
        guard.caller(own.sign(account_id=uuid4(), session_id=uuid4(), name="", roles=[ADMIN], subjects={}))


def test_a_person_asks_elsewhere_with_their_own_token(ring: KeyRing) -> None:
    guard = trust(ring)
    token = signed(ring, "infirmary", ADMIN)
    assert guard.sign(guard.caller(token)) == token


def test_before_the_keys_were_heard_nobody_is_refused_for_good(ring: KeyRing) -> None:
    published = PublishedKeys()
    guard = Trust(published.public, b"s" * 32, issuer=ISSUER, clock=CLOCK, revocations=Revocations(CLOCK))
    token = signed(ring, "infirmary", ADMIN)
    with pytest.raises(Unavailable):
        guard.caller(token)
    published.learn(ring.jwks()["keys"])
    assert guard.caller(token).roles == {ADMIN}
    with pytest.raises(NotSignedIn):
        guard.caller(signed(KeyRing(Path(str(ring._folder) + "-other"), CLOCK), "infirmary", ADMIN))
