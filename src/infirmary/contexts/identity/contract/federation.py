"""Signing in with a provider of OpenID Connect: what is said about it, and the refusals."""
from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from infirmary.kernel.access import ANY, ANYONE, Caller
from infirmary.kernel.contract import Contract, Done, Instant, delete, get, post
from infirmary.kernel.errors import Conflict, NotFound, NotSignedIn, Refusal, TooManyTries, Unavailable
from infirmary.language import ADMIN, StepUpRequired

from .accounts import EVERYBODY, Tokens
from .factors import MfaRequired

Brought = Annotated[str, Meta(min_length=1, max_length=2000)]


class Provider(Struct, frozen=True):
    """One that the hospital has chosen: `name` as people know it."""

    id: str
    name: str


class Away(Struct, frozen=True):
    """Where the browser goes now, and what it keeps meanwhile: whoever comes back must bring `browser` along, so that
    nobody can be made to end a sign-in that somebody else began."""

    authorization_url: str
    browser: str


class BroughtBack(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the provider sent the browser back with (`iss`: RFC 9207), and `browser` as it was given."""

    state: Brought
    code: Brought
    browser: Brought
    iss: Annotated[str, Meta(max_length=255)] = ""


class Arrived(Struct, frozen=True):
    """Signed in; or, without tokens, the login now belongs to the account that asked for it."""

    tokens: Tokens | None


class Login(Struct, frozen=True, kw_only=True):
    """A login elsewhere that opens an account here. `email` is what the provider says."""

    id: UUID
    account_id: UUID
    provider: str
    provider_name: str
    email: str
    linked_at: Instant
    last_used_at: Instant | None


class ProviderAway(Unavailable):
    """The provider does not answer just now, or not in a way that can be trusted. Nobody was signed in: try again
    shortly, or sign in another way."""


class TripOver(Refusal):
    """This sign-in was begun too long ago or in another browser, or has been used. Begin again."""


class NotProven(NotSignedIn):
    """What the provider sent does not prove who you are, so nobody was signed in. Begin again, or sign in another way."""


class LinkRequired(NotSignedIn):
    """An account here has your e-mail address. Sign in to it with its password once, with this `link_token` (POST
    /auth/token), and from then on the provider will do."""


class RegistrationRequired(NotSignedIn):
    """Nobody here is known by this login. Register as a patient or sign in with a password, with this `link_token`
    (POST /auth/token), and from then on the provider will do."""


class NotKnownHere(Refusal):
    """Nobody here is known by this login. Sign in another way and add it under Security, or call the hospital."""

    status = 403


class LoginTaken(Conflict):
    """This login opens another account here, or this account has one of the same provider already. Remove that one
    first."""


class SignInElsewhere(Contract):
    @get("/auth/oidc", allow={ANYONE: ANY})
    async def providers(self, caller: Caller) -> list[Provider]:
        """With whom else one can sign in."""

    @post("/auth/oidc/{provider}/start", allow={ANYONE: ANY}, refuses=[NotFound, ProviderAway, TooManyTries])
    async def start_oidc(self, caller: Caller, provider: str) -> Away:
        """Begin to sign in with a provider (OpenID Connect, code flow with PKCE): send the browser there."""

    @post("/auth/oidc/{provider}/link", allow=EVERYBODY, refuses=[NotFound, ProviderAway, StepUpRequired, TooManyTries])
    async def link_oidc(self, caller: Caller, provider: str) -> Away:
        """Begin to add a login at a provider to one's own account."""

    @post("/auth/oidc/{provider}/callback", allow={ANYONE: ANY},
          refuses=[NotFound, TripOver, NotProven, ProviderAway, MfaRequired, LinkRequired, RegistrationRequired,
                   NotKnownHere, LoginTaken])
    async def come_back(self, caller: Caller, provider: str, body: BroughtBack) -> Arrived:
        """Back from the provider: signed in, or told what is missing. Good once."""

    @get("/auth/logins", allow=EVERYBODY)
    async def logins(self, caller: Caller) -> list[Login]:
        """The logins elsewhere that open this account."""

    @get("/accounts/{account_id}/logins", allow={ADMIN: ANY}, refuses=[NotFound])
    async def logins_of(self, caller: Caller, account_id: UUID) -> list[Login]:
        """The logins elsewhere that open this account."""

    @delete("/accounts/{account_id}/logins/{login_id}", allow={ADMIN: ANY}, refuses=[NotFound, StepUpRequired])
    async def unlink_of(self, caller: Caller, account_id: UUID, login_id: UUID) -> Done:
        """For somebody who cannot do so: the login opens this account no more. They are told by e-mail."""

    @delete("/auth/logins/{login_id}", allow=EVERYBODY, refuses=[NotFound, StepUpRequired])
    async def unlink(self, caller: Caller, login_id: UUID) -> Done:
        """From now on this login opens the account no more."""
