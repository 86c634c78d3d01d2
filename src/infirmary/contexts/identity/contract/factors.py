"""The second factor: what is said about it, and the refusals."""
from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from infirmary.kernel.contract import Instant
from infirmary.kernel.errors import Conflict, NotSignedIn, Refusal
from infirmary.language import Channel

from .accounts import Password

Code = Annotated[str, Meta(min_length=1, max_length=40)]   # six digits, or a recovery code, spaced as people like


class SecondFactor(Struct, frozen=True, kw_only=True):
    """Whether signing in needs a code besides the password, since when, and how many recovery codes are unused; by which
    channels one is sent. Passkeys sign in without any."""

    totp_since: Instant | None
    recovery_codes_left: int
    passkeys: int = 0
    codes_by: list[Channel] = []


class TotpEnrolment(Struct, frozen=True):
    """`secret` base32 (RFC 4648) of 160 bits; `otpauth_uri` the same as authenticator apps scan it."""

    secret: str
    otpauth_uri: str


class CodeGiven(Struct, frozen=True, forbid_unknown_fields=True):
    code: Code


class DisableTotp(Struct, frozen=True, forbid_unknown_fields=True):
    """`code` from the app, or a recovery code."""

    password: Password
    code: Code


class RecoveryCodes(Struct, frozen=True):
    """Each signs in once in place of a code from the app. They are shown this once; only digests are kept."""

    recovery_codes: list[str]


class MfaRequired(NotSignedIn):
    """The password is right; this account asks for a code as well. Repeat with `otp`: where `factors` names `totp`, six
    digits from the authenticator app, or a recovery code; where it names `email` or `sms`, a code that POST /auth/mfa/send
    sends, with its `code_id`. Each code is good once. In place of the password, `mfa_token` will do for five minutes."""


class WrongCode(Refusal):
    """This code does not match. Type the six digits that the app shows now; if they keep failing, look at the clock of
    the phone."""


class StepUp(Struct, frozen=True, forbid_unknown_fields=True):
    password: Password


class FactorSet(Conflict):
    """This account asks for such a code already. Remove that first."""


class NothingToConfirm(Conflict):
    """No authenticator app waits to be confirmed. Begin with its secret."""


class NoFactor(Conflict):
    """This account has no such factor."""
