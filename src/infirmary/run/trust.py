"""Whose word counts in this process: people's tokens are signed by identity, services' by the installation's secret."""
from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from time import monotonic
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from infirmary.kernel.access import Caller
from infirmary.kernel.clock import Clock
from infirmary.kernel.context import derived
from infirmary.kernel.errors import NotSignedIn
from infirmary.kernel.tokens import LIFETIME, DerivedKey, Revocations, Signer, Verifier
from infirmary.language import Role

NOBODY_IN_PARTICULAR = UUID(int=0)
SERVICES = "infirmary-services"   # the audience: such a token is of no use at the gateway
RENEWED = LIFETIME - timedelta(minutes=5)


class Trust:
    """People can be revoked; a service cannot, and its tokens last ten minutes."""

    def __init__(self, public: Callable[[str], Ed25519PublicKey | None], master: bytes, *, issuer: str, clock: Clock,
                 revocations: Revocations) -> None:
        key = DerivedKey(derived(master, "service tokens"), "services")
        self.people = Verifier(public, issuer=issuer, audience="infirmary", clock=clock, revocations=revocations)
        self._services = Verifier(key.public, issuer=issuer, audience=SERVICES, clock=clock, revocations=None)
        self._signer = Signer(key, issuer=issuer, audience=SERVICES, clock=clock)
        self._signed: dict[str, tuple[str, float]] = {}   # by service: a token, and until when it is used
        self._mark = self._token_of("mark").partition(".")[0]   # the header, the same for every token of a service

    def caller(self, token: str) -> Caller:
        """Who asks. A person is never a service, whatever the token says, and a service never anybody else."""
        if token.partition(".")[0] == self._mark:
            caller, allowed = self._services.caller(token), {Role.SERVICE}
            if caller.roles != allowed:
                raise NotSignedIn
            return caller
        caller = self.people.caller(token)
        if Role.SERVICE in caller.roles:
            raise NotSignedIn
        return caller

    def sign(self, caller: Caller) -> str:
        """What the caller proves itself with elsewhere: a person with their own token, a service with one of ours."""
        if caller.token or caller.roles != {Role.SERVICE}:
            return caller.token
        token, until = self._signed.get(caller.name, ("", 0.0))
        if monotonic() >= until:
            token = self._token_of(caller.name)
            self._signed[caller.name] = token, monotonic() + RENEWED.total_seconds()
        return token

    def _token_of(self, service: str) -> str:
        return self._signer.sign(account_id=NOBODY_IN_PARTICULAR, session_id=NOBODY_IN_PARTICULAR, name=service,
                                 roles=[Role.SERVICE.value], subjects={})
