"""Accounts, sign-ins and passwords: what is said about them, and the refusals."""
from __future__ import annotations

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from infirmary.kernel.contract import Form, Instant
from infirmary.kernel.errors import Conflict, NotSignedIn, Refusal
from infirmary.language import SELF, STAFF_ROLES, Email, Name, Phone, Role

EVERYBODY = dict.fromkeys((Role.PATIENT, *STAFF_ROLES), SELF)   # people, each about what is their own
HASHING = 5.0   # seconds that a password may wait until its turn to be hashed comes

Password = Annotated[str, Meta(min_length=1, max_length=200)]
Secret = Annotated[str, Meta(min_length=1, max_length=400)]


class RegisterPatient(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    email: Email
    password: Password
    given_name: Name
    family_name: Name
    birth_date: date
    phone: Phone


class Registered(Struct, frozen=True):
    account_id: UUID
    patient_id: UUID


class TokenRequest(Form, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """RFC 6749, sections 4.3, 4.4 and 6: `password` (username, password), `client_credentials` (client_id and
    client_secret, here or as HTTP Basic; `scope`: which of its roles) or `refresh_token` (refresh_token). With a second
    factor set: `password` with `otp` too, or `mfa_otp` with `otp` and the `mfa_token` of the refusal `mfa_required`. A refresh in the `background`,
    by a program that nobody need be sitting at, does not keep the sign-in from ending unused. A `link_token`, from a
    refusal after signing in with a provider, makes that login one of the account's own. A `code_id` goes with an `otp` that
    was sent. `device_tokens`, with spaces between, are what earlier sign-ins here were given: with one of the same account, a
    password is not counted, and does not wait, with those of strangers."""

    grant_type: Annotated[str, Meta(max_length=60)]
    username: Annotated[str, Meta(max_length=254)] = ""
    password: Annotated[str, Meta(max_length=200)] = ""
    otp: Annotated[str, Meta(max_length=40)] = ""
    mfa_token: Annotated[str, Meta(max_length=200)] = ""
    code_id: UUID | None = None
    device_tokens: Annotated[str, Meta(max_length=2000)] = ""
    refresh_token: Annotated[str, Meta(max_length=400)] = ""
    background: bool = False
    link_token: Annotated[str, Meta(max_length=100)] = ""
    scope: Annotated[str, Meta(max_length=200)] = ""
    client_id: Annotated[str, Meta(max_length=100)] = ""
    client_secret: Annotated[str, Meta(max_length=200)] = ""


class Tokens(Struct, frozen=True, omit_defaults=True):
    """`expires_in` seconds for the access token. A program gets no refresh token, and is told its roles as `scope`. Who gave
    a password gets a `device_token`: kept over signing out, it makes this a device that is known (see TokenRequest)."""

    access_token: str
    token_type: str
    expires_in: int
    refresh_token: str = ""
    scope: str = ""
    device_token: str = ""


class TokenToRevoke(Form, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """RFC 7009."""

    token: Annotated[str, Meta(min_length=1, max_length=4000)]
    token_type_hint: Annotated[str, Meta(max_length=40)] = ""


class Account(Struct, frozen=True, kw_only=True):
    id: UUID
    email: str
    name: str
    roles: list[Role]
    patient_id: UUID | None
    doctor_id: UUID | None
    staff_id: UUID | None
    disabled: bool
    created_at: Instant
    last_sign_in_at: Instant | None
    version: int


class OpenAccount(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Without a password the person gets an e-mail with a link to choose one."""

    email: Email
    name: Name
    roles: Annotated[list[Role], Meta(min_length=1, max_length=8)]
    password: Password | None = None
    patient_id: UUID | None = None
    doctor_id: UUID | None = None
    staff_id: UUID | None = None


class AmendAccount(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: Name | UnsetType = UNSET
    roles: Annotated[list[Role], Meta(min_length=1, max_length=8)] | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET
    doctor_id: UUID | UnsetType | None = UNSET
    staff_id: UUID | UnsetType | None = UNSET


class Session(Struct, frozen=True, kw_only=True):
    id: UUID
    account_id: UUID
    started_at: Instant
    last_used_at: Instant
    address: str
    current: bool


class ForgottenPassword(Struct, frozen=True, forbid_unknown_fields=True):
    email: Email


class NewPassword(Struct, frozen=True, forbid_unknown_fields=True):
    """`token` is from the link in the e-mail."""

    token: Secret
    password: Password


class ChangePassword(Struct, frozen=True, forbid_unknown_fields=True):
    current_password: Password
    new_password: Password


class ResetLink(Struct, frozen=True):
    email: str
    name: str
    url: str
    invitation: bool


class Recipient(Struct, frozen=True):
    """Somebody who can be told something, as the patient or the doctor that was asked for (or neither); asked for by the
    account, as both that they are. `phone` in E.164, where a code has shown that it is theirs."""

    account_id: UUID
    name: str
    email: str
    patient_id: UUID | None = None
    doctor_id: UUID | None = None
    phone: str = ""


class Revoked(Struct, frozen=True):
    """Tokens of this session or account that were issued up to `since` are void."""

    id: UUID
    since: Instant


class KeySet(Struct, frozen=True):
    """RFC 7517."""

    keys: list[dict[str, Any]]


class ServerMetadata(Struct, frozen=True):
    """RFC 8414."""

    issuer: str
    token_endpoint: str
    revocation_endpoint: str
    jwks_uri: str
    grant_types_supported: list[str]
    response_types_supported: list[str]
    id_token_signing_alg_values_supported: list[str]
    subject_types_supported: list[str]


class EmailTaken(Conflict):
    """There is an account with this e-mail address already. Sign in, or ask for a new password."""


class AlreadyLinked(Conflict):
    """Another account belongs to this person already."""


class WrongCredentials(NotSignedIn):
    """E-mail or password do not match."""


class RefreshRefused(NotSignedIn):
    """This sign-in has ended. Sign in again."""


class UnsupportedGrant(Refusal):
    """Use grant_type password, mfa_otp, client_credentials or refresh_token."""


class WeakPassword(Refusal):
    """Choose a longer or less common password: at least 10 characters, not one that is on everybody's list."""


class LinkExpired(Refusal):
    """This link has been used or is too old. Ask for a new one."""


class RoleNeedsPerson(Refusal):
    """The role and the person do not go together: a patient account names a patient, a doctor account a doctor."""


class LastAdmin(Refusal):
    """This is the last administrator who can sign in. Make another one first."""
