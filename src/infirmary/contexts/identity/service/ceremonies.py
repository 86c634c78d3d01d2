"""The two ceremonies of WebAuthn Level 3, 7.1 (making a passkey) and 7.2 (using one), as far as they need no database."""
from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import msgspec
from webauthn import (
    base64url_to_bytes,
    generate_authentication_options,
    generate_registration_options,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import options_to_json_dict, parse_client_data_json
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from infirmary.contexts.identity import domain
from infirmary.contexts.identity.contract import MadeCredential, UsedCredential
from infirmary.contexts.identity.tables import AccountRow
from infirmary.contexts.identity.tables.passkeys import PasskeyRow
from infirmary.settings import Settings

from .base import base64url

T = TypeVar("T")
KEYS = [COSEAlgorithmIdentifier.EDDSA, COSEAlgorithmIdentifier.ECDSA_SHA_256,
        COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256]
TRANSPORTS = {one.value for one in AuthenticatorTransport}
MILLISECONDS = int(domain.CHALLENGE_FOR.total_seconds() * 1000)


class Unfit(Exception):
    """The answer is not one to what was asked."""


class Made(NamedTuple):
    """A new passkey; texts in base64url, `uses` as its device has counted."""

    credential_id: str
    public_key: str
    uses: int
    synced: bool


class Used(NamedTuple):
    uses: int
    synced: bool


class Ceremonies:
    """For the pages of one hospital: a passkey is made for its name, and answers only to its origin."""

    def __init__(self, settings: Settings) -> None:
        self._host, self._origin, self._name = settings.passkey_host, settings.passkey_origin, settings.hospital.name

    def to_make(self, account: AccountRow, challenge: bytes, there: Iterable[PasskeyRow]) -> dict[str, Any]:
        """For `navigator.credentials.create`; a device that holds one of those that are there makes no other."""
        return options_to_json_dict(generate_registration_options(
            rp_id=self._host, rp_name=self._name, user_id=account.id.bytes, user_name=account.email,
            user_display_name=account.name, challenge=challenge, timeout=MILLISECONDS, supported_pub_key_algs=KEYS,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED),
            exclude_credentials=[PublicKeyCredentialDescriptor(
                base64url_to_bytes(one.credential_id),
                transports=[AuthenticatorTransport(way) for way in one.transports.split() if way in TRANSPORTS])
                for one in there]))

    def to_use(self, challenge: bytes) -> dict[str, Any]:
        """For `navigator.credentials.get`, of whoever is there."""
        return options_to_json_dict(generate_authentication_options(
            rp_id=self._host, challenge=challenge, timeout=MILLISECONDS,
            user_verification=UserVerificationRequirement.REQUIRED))

    def made(self, credential: MadeCredential, challenge: bytes) -> Made:
        """Raises Unfit."""
        found = _or_unfit(lambda: verify_registration_response(
            credential=msgspec.to_builtins(credential), expected_challenge=challenge, expected_rp_id=self._host,
            expected_origin=self._origin, require_user_verification=True, supported_pub_key_algs=KEYS))
        return Made(base64url(found.credential_id), base64url(found.credential_public_key), found.sign_count,
                    found.credential_device_type is CredentialDeviceType.MULTI_DEVICE)

    def used(self, credential: UsedCredential, challenge: bytes, known: PasskeyRow) -> Used:
        """Raises Unfit. That the counter went on is decided where it is kept: here it is taken as it comes."""
        if credential.response.user_handle != user_handle(known.account_id):
            raise Unfit("made for another account")
        found = _or_unfit(lambda: verify_authentication_response(
            credential=msgspec.to_builtins(credential), expected_challenge=challenge, expected_rp_id=self._host,
            expected_origin=self._origin, credential_public_key=base64url_to_bytes(known.public_key),
            credential_current_sign_count=0, require_user_verification=True))
        return Used(found.new_sign_count, found.credential_device_type is CredentialDeviceType.MULTI_DEVICE)


def challenge_in(client_data: str) -> bytes:
    """What the browser says that it was asked. Raises Unfit, too, for a page inside another one's frame."""
    said = _or_unfit(lambda: parse_client_data_json(base64url_to_bytes(client_data)))
    if said.cross_origin:
        raise Unfit("asked from inside another page")
    return said.challenge


def user_handle(account_id: UUID) -> str:
    return base64url(account_id.bytes)


def _or_unfit(parse: Callable[[], T]) -> T:
    try:
        return parse()
    except Exception as error:   # whatever strangers' bytes do to the parsers of CBOR, ASN.1 and keys
        raise Unfit(str(error)) from error
