"""What may be asked about accounts and sign-in."""
from __future__ import annotations

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from infirmary.contexts.patients.contract import BirthDateImpossible
from infirmary.kernel.access import ANY, ANYONE, Caller
from infirmary.kernel.contract import Contract, Cursor, Done, Form, Instant, Limit, Page, delete, get, patch, post
from infirmary.kernel.errors import Conflict, NotFound, NotSignedIn, Refusal, TooManyTries
from infirmary.language import ADMIN, SELF, SERVICE, STAFF_ROLES, Email, Name, Phone, Role, SearchText

Password = Annotated[str, Meta(min_length=1, max_length=200)]
Secret = Annotated[str, Meta(min_length=1, max_length=400)]
EVERYBODY = dict.fromkeys((Role.PATIENT, *STAFF_ROLES), SELF)


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
    """RFC 6749, sections 4.3 and 6: `password` (username, password) or `refresh_token` (refresh_token)."""

    grant_type: Annotated[str, Meta(max_length=60)]
    username: Annotated[str, Meta(max_length=254)] = ""
    password: Annotated[str, Meta(max_length=200)] = ""
    refresh_token: Annotated[str, Meta(max_length=400)] = ""
    scope: Annotated[str, Meta(max_length=200)] = ""
    client_id: Annotated[str, Meta(max_length=100)] = ""


class Tokens(Struct, frozen=True):
    """`expires_in` seconds for the access token."""

    access_token: str
    refresh_token: str
    token_type: str
    expires_in: int


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
    """Somebody who can be told something, as the patient or the doctor that was asked for (or neither)."""

    account_id: UUID
    name: str
    email: str
    patient_id: UUID | None = None
    doctor_id: UUID | None = None


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
    """Use grant_type password or refresh_token."""


class WeakPassword(Refusal):
    """Choose a longer or less common password: at least 10 characters, not one that is on everybody's list."""


class LinkExpired(Refusal):
    """This link has been used or is too old. Ask for a new one."""


class RoleNeedsPerson(Refusal):
    """The role and the person do not go together: a patient account names a patient, a doctor account a doctor."""


class LastAdmin(Refusal):
    """This is the last administrator who can sign in. Make another one first."""


class Identity(Contract, context="identity"):
    @post("/auth/register", status=201, allow={ANYONE: ANY},
          refuses=[EmailTaken, WeakPassword, BirthDateImpossible, TooManyTries])
    async def register(self, caller: Caller, body: RegisterPatient) -> Registered:
        """A patient makes an account, and is entered in the register."""

    @post("/auth/token", allow={ANYONE: ANY},
          refuses=[WrongCredentials, RefreshRefused, UnsupportedGrant, TooManyTries])
    async def token(self, caller: Caller, body: TokenRequest) -> Tokens:
        """Sign in, or trade a refresh token for new ones (each refresh token is good for one use)."""

    @post("/auth/revoke", allow={ANYONE: ANY})
    async def revoke(self, caller: Caller, body: TokenToRevoke) -> Done:
        """Sign out: ends the session the token belongs to. Unknown tokens are fine too."""

    @get("/auth/me", allow=EVERYBODY)
    async def me(self, caller: Caller) -> Account:
        """The account that asks."""

    @get("/auth/sessions", allow=EVERYBODY)
    async def sessions(self, caller: Caller) -> list[Session]:
        """Where this account is signed in."""

    @delete("/auth/sessions/{session_id}", allow=EVERYBODY, refuses=[NotFound])
    async def end_session(self, caller: Caller, session_id: UUID) -> Done:
        """Sign out somewhere else."""

    @post("/auth/password/forgot", status=202, allow={ANYONE: ANY}, refuses=[TooManyTries])
    async def forgot_password(self, caller: Caller, body: ForgottenPassword) -> Done:
        """Send a link for a new password, if there is such an account; the answer is the same either way."""

    @post("/auth/password/reset", allow={ANYONE: ANY}, refuses=[LinkExpired, WeakPassword, TooManyTries])
    async def reset_password(self, caller: Caller, body: NewPassword) -> Done:
        """Set a new password with the link from the e-mail; ends every session."""

    @post("/auth/password/change", allow=EVERYBODY, refuses=[WrongCredentials, WeakPassword, TooManyTries])
    async def change_password(self, caller: Caller, body: ChangePassword) -> Done:
        """Set a new password, knowing the old one; ends every other session."""

    @get("/accounts", allow={ADMIN: ANY})
    async def accounts(self, caller: Caller, q: SearchText = "", role: Role | None = None, limit: Limit = 25,
                       cursor: Cursor | None = None) -> Page[Account]:
        """Accounts by name or e-mail."""

    @post("/accounts", status=201, allow={ADMIN: ANY}, refuses=[EmailTaken, WeakPassword, RoleNeedsPerson, AlreadyLinked])
    async def open_account(self, caller: Caller, body: OpenAccount) -> Account:
        """Make an account for somebody."""

    @get("/accounts/{account_id}", allow={ADMIN: ANY}, refuses=[NotFound])
    async def account(self, caller: Caller, account_id: UUID) -> Account:
        """One account."""

    @patch("/accounts/{account_id}", allow={ADMIN: ANY}, refuses=[NotFound, RoleNeedsPerson, LastAdmin, AlreadyLinked])
    async def amend_account(self, caller: Caller, account_id: UUID, body: AmendAccount, if_match: int) -> Account:
        """Change name, roles or access. Disabling ends every session within seconds."""

    @get("/accounts/recipients", allow={SERVICE: ANY})
    async def recipients(self, caller: Caller, patient_id: UUID | None = None, doctor_id: UUID | None = None,
                         account_id: UUID | None = None) -> list[Recipient]:
        """Who to tell when something concerns this patient, doctor or account."""

    @get("/auth/password/resets/{reset_id}", allow={SERVICE: ANY}, refuses=[LinkExpired])
    async def reset_link(self, caller: Caller, reset_id: UUID) -> ResetLink:
        """The link to put into the e-mail; it never travels on the bus."""

    @get("/auth/revocations", allow={SERVICE: ANY})
    async def revocations(self, caller: Caller) -> list[Revoked]:
        """Everything revoked that a living token could still claim."""

    @get("/.well-known/jwks.json", allow={ANYONE: ANY})
    async def jwks(self, caller: Caller) -> KeySet:
        """The public keys: next, current and previous."""

    @get("/.well-known/openid-configuration", allow={ANYONE: ANY})
    async def server_metadata(self, caller: Caller) -> ServerMetadata:
        """Where to sign in, for programs."""
