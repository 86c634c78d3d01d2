"""What may be asked about accounts and sign-in."""
from __future__ import annotations

from uuid import UUID

from infirmary.contexts.patients.contract import BirthDateImpossible
from infirmary.kernel.access import ANY, ANYONE, Caller
from infirmary.kernel.contract import Contract, Cursor, Done, Limit, Page, delete, get, patch, post
from infirmary.kernel.errors import NotFound, TooManyTries
from infirmary.language import ADMIN, SERVICE, Role, SearchText, StepUpRequired

from .accounts import (
    EVERYBODY,
    HASHING,
    Account,
    AlreadyLinked,
    AmendAccount,
    ChangePassword,
    EmailTaken,
    ForgottenPassword,
    KeySet,
    LastAdmin,
    LinkExpired,
    NewPassword,
    OpenAccount,
    Password,
    Recipient,
    RefreshRefused,
    Registered,
    RegisterPatient,
    ResetLink,
    Revoked,
    RoleNeedsPerson,
    Secret,
    ServerMetadata,
    Session,
    TokenRequest,
    Tokens,
    TokenToRevoke,
    UnsupportedGrant,
    WeakPassword,
    WrongCredentials,
)
from .clients import (
    AmendClient,
    Client,
    ClientForm,
    ClientRevoked,
    ClientSecret,
    Programs,
    RoleIsForPeople,
    ScopeTooWide,
    WrongClient,
)
from .contact_points import (
    ConfirmContactPoint,
    ContactPoint,
    NewContactPoint,
    NotConfirmed,
    NoTextMessages,
    PhoneUnfit,
    Reaching,
    SendSecondFactor,
    StrongerFactorNeeded,
)
from .factors import (
    Code,
    CodeGiven,
    DisableTotp,
    FactorSet,
    MfaRequired,
    NoFactor,
    NothingToConfirm,
    RecoveryCodes,
    SecondFactor,
    StepUp,
    TotpEnrolment,
    WrongCode,
)
from .federation import (
    Arrived,
    Away,
    BroughtBack,
    LinkRequired,
    Login,
    LoginTaken,
    NotKnownHere,
    NotProven,
    Provider,
    ProviderAway,
    RegistrationRequired,
    SignInElsewhere,
    TripOver,
)
from .passkeys import (
    ChallengeSpent,
    MadeCredential,
    NewPasskey,
    Passkey,
    PasskeyKnown,
    PasskeyOptions,
    PasskeyRefused,
    PasskeyUnfit,
    RenamePasskey,
    TooManyPasskeys,
    UsedCredential,
    UsePasskey,
)
from .sent_codes import AskForCode, CodeAsked, CodeRefused, GiveCode, SentCode

__all__ = [
    "EVERYBODY",
    "HASHING",
    "Account",
    "AlreadyLinked",
    "AmendAccount",
    "AmendClient",
    "Arrived",
    "AskForCode",
    "Away",
    "BroughtBack",
    "ChallengeSpent",
    "ChangePassword",
    "Client",
    "ClientForm",
    "ClientRevoked",
    "ClientSecret",
    "Code",
    "CodeAsked",
    "CodeGiven",
    "CodeRefused",
    "ConfirmContactPoint",
    "ContactPoint",
    "DisableTotp",
    "EmailTaken",
    "FactorSet",
    "ForgottenPassword",
    "GiveCode",
    "Identity",
    "KeySet",
    "LastAdmin",
    "LinkExpired",
    "LinkRequired",
    "Login",
    "LoginTaken",
    "MadeCredential",
    "MfaRequired",
    "NewContactPoint",
    "NewPasskey",
    "NewPassword",
    "NoFactor",
    "NoTextMessages",
    "NotConfirmed",
    "NotKnownHere",
    "NotProven",
    "NothingToConfirm",
    "OpenAccount",
    "Passkey",
    "PasskeyKnown",
    "PasskeyOptions",
    "PasskeyRefused",
    "PasskeyUnfit",
    "Password",
    "PhoneUnfit",
    "Programs",
    "Provider",
    "ProviderAway",
    "Reaching",
    "Recipient",
    "RecoveryCodes",
    "RefreshRefused",
    "RegisterPatient",
    "Registered",
    "RegistrationRequired",
    "RenamePasskey",
    "ResetLink",
    "Revoked",
    "RoleIsForPeople",
    "RoleNeedsPerson",
    "ScopeTooWide",
    "SecondFactor",
    "Secret",
    "SendSecondFactor",
    "SentCode",
    "ServerMetadata",
    "Session",
    "SignInElsewhere",
    "StepUp",
    "StepUpRequired",
    "StrongerFactorNeeded",
    "TokenRequest",
    "TokenToRevoke",
    "Tokens",
    "TooManyPasskeys",
    "TotpEnrolment",
    "TripOver",
    "UnsupportedGrant",
    "UsePasskey",
    "UsedCredential",
    "WeakPassword",
    "WrongClient",
    "WrongCode",
    "WrongCredentials",
]


class Identity(SignInElsewhere, Programs, Reaching, Contract, context="identity"):
    @post("/auth/register", queues=HASHING, status=201, allow={ANYONE: ANY},
          refuses=[EmailTaken, WeakPassword, BirthDateImpossible, TooManyTries])
    async def register(self, caller: Caller, body: RegisterPatient) -> Registered:
        """A patient makes an account, and is entered in the register."""

    @post("/auth/token", queues=HASHING, allow={ANYONE: ANY},
          refuses=[WrongCredentials, MfaRequired, RefreshRefused, UnsupportedGrant, TripOver, LoginTaken, WrongClient,
                   ScopeTooWide, TooManyTries])
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

    @delete("/auth/sessions", allow=EVERYBODY)
    async def end_other_sessions(self, caller: Caller) -> Done:
        """Sign out everywhere but here."""

    @post("/auth/step-up", queues=HASHING, allow=EVERYBODY, refuses=[WrongCredentials, TooManyTries])
    async def step_up(self, caller: Caller, body: StepUp) -> Done:
        """Give the password again: for ten minutes this sign-in may do what is sensitive, such as change how one signs in."""

    @get("/auth/step-up", allow=EVERYBODY, refuses=[StepUpRequired])
    async def stepped_up(self, caller: Caller) -> Done:
        """Whether the password, or a passkey, was given in the last ten minutes; asked where other contexts need it."""

    @post("/auth/otp/request", status=202, allow={ANYONE: ANY}, refuses=[NoTextMessages, TooManyTries])
    async def request_code(self, caller: Caller, body: AskForCode) -> CodeAsked:
        """Send a code to sign in with, if a patient has this address; the answer is the same either way."""

    @post("/auth/otp/verify", allow={ANYONE: ANY}, refuses=[CodeRefused, MfaRequired, WrongCredentials, TooManyTries])
    async def verify_code(self, caller: Caller, body: GiveCode) -> Tokens:
        """Sign in with the code from the message. What is sensitive asks for the password, or a passkey, all the same."""

    @get("/auth/otp/{code_id}", allow={SERVICE: ANY}, refuses=[NotFound])
    async def sent_code(self, caller: Caller, code_id: UUID) -> SentCode:
        """The code to put into the message; it never travels on the bus."""

    @post("/auth/password/forgot", status=202, allow={ANYONE: ANY}, refuses=[TooManyTries])
    async def forgot_password(self, caller: Caller, body: ForgottenPassword) -> Done:
        """Send a link for a new password, if there is such an account; the answer is the same either way."""

    @post("/auth/password/reset", queues=HASHING, allow={ANYONE: ANY}, refuses=[LinkExpired, WeakPassword, TooManyTries])
    async def reset_password(self, caller: Caller, body: NewPassword) -> Done:
        """Set a new password with the link from the e-mail; ends every session."""

    @post("/auth/password/change", queues=HASHING, allow=EVERYBODY, refuses=[WrongCredentials, WeakPassword, TooManyTries])
    async def change_password(self, caller: Caller, body: ChangePassword) -> Done:
        """Set a new password, knowing the old one; ends every other session."""

    @get("/auth/mfa", allow=EVERYBODY)
    async def second_factor(self, caller: Caller) -> SecondFactor:
        """What signing in to one's own account needs besides the password."""

    @post("/auth/mfa/totp/enroll", allow=EVERYBODY, refuses=[FactorSet, StepUpRequired])
    async def enroll_totp(self, caller: Caller) -> TotpEnrolment:
        """A new secret for an authenticator app (RFC 6238). Nothing changes until `confirm`; asking again replaces it."""

    @post("/auth/mfa/totp/confirm", allow=EVERYBODY, refuses=[WrongCode, NothingToConfirm, StepUpRequired])
    async def confirm_totp(self, caller: Caller, body: CodeGiven) -> RecoveryCodes:
        """The app shows the right code: from now on signing in asks for one."""

    @post("/auth/mfa/totp/disable", queues=HASHING, allow=EVERYBODY, refuses=[WrongCredentials, NoFactor, TooManyTries])
    async def disable_totp(self, caller: Caller, body: DisableTotp) -> Done:
        """Sign in with the password alone again."""

    @post("/auth/mfa/recovery-codes", allow=EVERYBODY, refuses=[NoFactor, StepUpRequired])
    async def renew_recovery_codes(self, caller: Caller) -> RecoveryCodes:
        """Ten new ones; those before are good no more."""

    @get("/auth/passkeys", allow=EVERYBODY)
    async def passkeys(self, caller: Caller) -> list[Passkey]:
        """What opens one's own account without a password."""

    @get("/auth/passkeys/options", allow=EVERYBODY, refuses=[StepUpRequired, TooManyPasskeys])
    async def passkey_options(self, caller: Caller) -> PasskeyOptions:
        """Begin to make a passkey: what the browser's `navigator.credentials.create` is asked."""

    @post("/auth/passkeys", status=201, allow=EVERYBODY,
          refuses=[PasskeyUnfit, ChallengeSpent, PasskeyKnown, TooManyPasskeys, StepUpRequired])
    async def add_passkey(self, caller: Caller, body: NewPasskey) -> Passkey:
        """The browser has made it: from now on it signs in. The owner is told by e-mail."""

    @patch("/auth/passkeys/{passkey_id}", allow=EVERYBODY, refuses=[NotFound])
    async def rename_passkey(self, caller: Caller, passkey_id: UUID, body: RenamePasskey, if_match: int) -> Passkey:
        """A name to know it by."""

    @delete("/auth/passkeys/{passkey_id}", allow=EVERYBODY, refuses=[NotFound, StepUpRequired])
    async def remove_passkey(self, caller: Caller, passkey_id: UUID) -> Done:
        """It signs in no more. The owner is told by e-mail."""

    @get("/auth/passkeys/challenge", allow={ANYONE: ANY})
    async def passkey_challenge(self, caller: Caller) -> PasskeyOptions:
        """Begin to use a passkey, whoever's: what the browser's `navigator.credentials.get` is asked."""

    @post("/auth/passkeys/token", allow={ANYONE: ANY}, refuses=[PasskeyRefused, ChallengeSpent, TooManyTries])
    async def passkey_token(self, caller: Caller, body: UsePasskey) -> Tokens:
        """Sign in with a passkey alone. It stands for both factors: the device, and the finger, face or PIN it asked for."""

    @post("/auth/passkeys/step-up", allow=EVERYBODY, refuses=[PasskeyRefused, ChallengeSpent, TooManyTries])
    async def passkey_step_up(self, caller: Caller, body: UsePasskey) -> Done:
        """As `step-up`, with a passkey of this account in place of the password."""

    @get("/accounts", allow={ADMIN: ANY})
    async def accounts(self, caller: Caller, q: SearchText = "", role: Role | None = None, limit: Limit = 25,
                       cursor: Cursor | None = None) -> Page[Account]:
        """Accounts by name or e-mail."""

    @post("/accounts", queues=HASHING, status=201, allow={ADMIN: ANY}, refuses=[EmailTaken, WeakPassword, RoleNeedsPerson, AlreadyLinked])
    async def open_account(self, caller: Caller, body: OpenAccount) -> Account:
        """Make an account for somebody."""

    @get("/accounts/{account_id}", allow={ADMIN: ANY}, refuses=[NotFound])
    async def account(self, caller: Caller, account_id: UUID) -> Account:
        """One account."""

    @patch("/accounts/{account_id}", allow={ADMIN: ANY}, refuses=[NotFound, RoleNeedsPerson, LastAdmin, AlreadyLinked])
    async def amend_account(self, caller: Caller, account_id: UUID, body: AmendAccount, if_match: int) -> Account:
        """Change name, roles or access. Disabling ends every session within seconds."""

    @get("/accounts/{account_id}/mfa", allow={ADMIN: ANY}, refuses=[NotFound])
    async def second_factor_of(self, caller: Caller, account_id: UUID) -> SecondFactor:
        """What signing in to this account needs besides the password."""

    @delete("/accounts/{account_id}/mfa", allow={ADMIN: ANY}, refuses=[NotFound, NoFactor, StepUpRequired])
    async def reset_second_factor(self, caller: Caller, account_id: UUID) -> Done:
        """For somebody who has lost phone and recovery codes: the password alone will do, and passkeys are removed. They
        are told by e-mail."""

    @get("/accounts/{account_id}/passkeys", allow={ADMIN: ANY}, refuses=[NotFound])
    async def passkeys_of(self, caller: Caller, account_id: UUID) -> list[Passkey]:
        """What opens this account without a password."""

    @get("/accounts/{account_id}/sessions", allow={ADMIN: ANY}, refuses=[NotFound])
    async def sessions_of(self, caller: Caller, account_id: UUID) -> list[Session]:
        """Where this account is signed in."""

    @delete("/accounts/{account_id}/sessions", allow={ADMIN: ANY}, refuses=[NotFound])
    async def end_sessions_of(self, caller: Caller, account_id: UUID) -> Done:
        """Sign this account out everywhere."""

    @delete("/accounts/{account_id}/sessions/{session_id}", allow={ADMIN: ANY}, refuses=[NotFound])
    async def end_session_of(self, caller: Caller, account_id: UUID, session_id: UUID) -> Done:
        """Sign this account out in one place."""

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
