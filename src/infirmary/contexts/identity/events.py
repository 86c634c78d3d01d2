"""What identity announces."""
from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from infirmary.kernel.events import Event


class AccountOpened(Event, frozen=True, kw_only=True):
    """Aggregate: the account."""

    name: str
    roles: list[str]
    patient_id: UUID | None
    doctor_id: UUID | None


class PasswordResetRequested(Event, frozen=True, kw_only=True):
    """Aggregate: the reset. The link itself is asked for when the e-mail is written."""

    account_id: UUID
    invitation: bool


class SignInCodeAsked(Event, frozen=True, kw_only=True):
    """Aggregate: the request. The code itself, and where it goes, is asked for when the message is written."""

    account_id: UUID


class PasswordChanged(Event, frozen=True, kw_only=True):
    """Aggregate: a fresh id per change. The owner is told, in case it was not they who did it."""

    account_id: UUID


class RefreshTokenReused(Event, frozen=True, kw_only=True):
    """Aggregate: the session, which has been ended. Somebody may hold a copied token."""

    account_id: UUID


class FactorChange(StrEnum):
    TOTP_ADDED = "totp_added"
    TOTP_REMOVED = "totp_removed"
    RECOVERY_CODES_RENEWED = "recovery_codes_renewed"
    RECOVERY_CODE_USED = "recovery_code_used"
    LOGIN_ADDED = "login_added"       # at a provider of OpenID Connect
    LOGIN_REMOVED = "login_removed"
    PASSKEY_ADDED = "passkey_added"
    PASSKEY_REMOVED = "passkey_removed"
    PASSKEY_COPIED = "passkey_copied"   # its counter went back, so it did not sign in
    PHONE_ADDED = "phone_added"       # in place of one before
    PHONE_REMOVED = "phone_removed"
    CODES_ADDED = "codes_added"       # by e-mail or text message
    CODES_REMOVED = "codes_removed"
    RESET = "reset"   # by the administration


class FactorChanged(Event, frozen=True, kw_only=True):
    """Aggregate: a fresh id per change. The owner is told, in case it was not they who did it."""

    account_id: UUID
    change: FactorChange
    of: str = ""   # which one: the provider, as the hospital calls it
