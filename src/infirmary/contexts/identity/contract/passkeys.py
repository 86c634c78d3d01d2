"""Passkeys (WebAuthn Level 3): what is said about them, and the refusals."""
from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta, Struct, field

from infirmary.kernel.contract import Instant
from infirmary.kernel.errors import Conflict, NotSignedIn, Refusal

Encoded = Annotated[str, Meta(min_length=1, max_length=8000, pattern="^[A-Za-z0-9_-]+$")]   # base64url, unpadded
CredentialId = Annotated[str, Meta(min_length=1, max_length=1364, pattern="^[A-Za-z0-9_-]+$")]   # of 1023 bytes at most
PasskeyName = Annotated[str, Meta(min_length=1, max_length=60, pattern=r"\S")]
Transport = Annotated[str, Meta(max_length=20, pattern="^[a-z-]+$")]


class Passkey(Struct, frozen=True, kw_only=True):
    """`synced`: its maker keeps copies, so it survives the loss of one device."""

    id: UUID
    name: str
    synced: bool
    created_at: Instant
    last_used_at: Instant | None
    version: int


class PasskeyOptions(Struct, frozen=True):
    """For `navigator.credentials`, as PublicKeyCredential.parseCreationOptionsFromJSON and parseRequestOptionsFromJSON
    take it. The challenge in it is good once, for five minutes."""

    public_key: dict[str, Any]


# What a browser answers, as PublicKeyCredential.toJSON writes it. Members that are not named here are let pass, unlike
# anywhere else: browsers add to them, and what counts is signed.

class Attestation(Struct, frozen=True, kw_only=True):
    client_data: Encoded = field(name="clientDataJSON")
    attestation_object: Encoded = field(name="attestationObject")
    transports: Annotated[list[Transport], Meta(max_length=8)] = []


class MadeCredential(Struct, frozen=True, kw_only=True):
    """RegistrationResponseJSON (WebAuthn Level 3, 5.1)."""

    id: CredentialId
    raw_id: CredentialId = field(name="rawId")
    type: Literal["public-key"]
    response: Attestation


class Assertion(Struct, frozen=True, kw_only=True):
    client_data: Encoded = field(name="clientDataJSON")
    authenticator_data: Encoded = field(name="authenticatorData")
    signature: Encoded
    user_handle: Encoded = field(name="userHandle")


class UsedCredential(Struct, frozen=True, kw_only=True):
    """AuthenticationResponseJSON (WebAuthn Level 3, 5.1) of a discoverable credential."""

    id: CredentialId
    raw_id: CredentialId = field(name="rawId")
    type: Literal["public-key"]
    response: Assertion


class NewPasskey(Struct, frozen=True, forbid_unknown_fields=True):
    name: PasskeyName
    credential: MadeCredential


class RenamePasskey(Struct, frozen=True, forbid_unknown_fields=True):
    name: PasskeyName


class UsePasskey(Struct, frozen=True, forbid_unknown_fields=True):
    credential: UsedCredential


class PasskeyRefused(NotSignedIn):
    """This passkey does not sign in here. Use another one, or your password."""


class ChallengeSpent(Refusal):
    """This took longer than five minutes, or was sent twice. Nothing was done; begin again."""


class PasskeyUnfit(Refusal):
    """What the device answered does not fit what it was asked, so no passkey was added. It must ask for your finger, face
    or PIN, and the page must be this hospital's own. Begin again."""


class PasskeyKnown(Conflict):
    """This passkey is registered already."""


class TooManyPasskeys(Conflict):
    """This account has as many passkeys as one may have. Remove one first."""
