"""Where codes are sent that prove who somebody is: what is said about it, and the refusals."""
from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from infirmary.kernel.access import ANY, ANYONE, Caller
from infirmary.kernel.contract import Contract, Done, Instant, delete, get, post
from infirmary.kernel.errors import Refusal, TooManyTries
from infirmary.language import Channel, Phone, StepUpRequired

from .accounts import EVERYBODY, WrongCredentials
from .factors import FactorSet, NoFactor, WrongCode
from .sent_codes import CodeAsked, SixDigits


class ContactPoint(Struct, frozen=True, kw_only=True):
    """A mailbox or a phone of which a code has shown that it is theirs. `shown`: enough of the address to know it by.
    `second_factor`: signing in asks for a code that is sent there, besides the password."""

    channel: Channel
    shown: str
    confirmed_at: Instant
    second_factor: bool


class NewContactPoint(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`phone` for text messages, with country code or as it is dialled in the hospital's country. E-mail goes to the address
    of the account."""

    channel: Channel
    phone: Phone | None = None


class ConfirmContactPoint(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    code_id: UUID
    code: SixDigits


class SendSecondFactor(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`mfa_token` of the refusal `mfa_required`, and one of its `factors`."""

    mfa_token: Annotated[str, Meta(min_length=1, max_length=200)]
    channel: Channel


class PhoneUnfit(Refusal):
    """Text messages cannot be sent to this number. Use that of a mobile phone, with its country code (+353 …)."""


class NoTextMessages(Refusal):
    """This hospital sends no text messages. Use e-mail."""


class NotConfirmed(Refusal):
    """No code has shown yet that messages arrive there. Confirm it first (POST /auth/contact-points)."""


class StrongerFactorNeeded(Refusal):
    """For what your account may do, a code by e-mail or text message is too easily caught by others. Set up an authenticator
    app or a passkey."""


class Reaching(Contract):
    @get("/auth/contact-points", allow=EVERYBODY)
    async def contact_points(self, caller: Caller) -> list[ContactPoint]:
        """Where codes may be sent to you."""

    @post("/auth/contact-points", status=202, allow=EVERYBODY,
          refuses=[PhoneUnfit, NoTextMessages, StepUpRequired, TooManyTries])
    async def add_contact_point(self, caller: Caller, body: NewContactPoint) -> CodeAsked:
        """Send a code there. Nothing changes until `confirm`."""

    @post("/auth/contact-points/confirm", allow=EVERYBODY, refuses=[WrongCode, StepUpRequired, TooManyTries])
    async def confirm_contact_point(self, caller: Caller, body: ConfirmContactPoint) -> ContactPoint:
        """The code has arrived: from now on messages may go there, in place of where they went before."""

    @delete("/auth/contact-points/{channel}", allow=EVERYBODY, refuses=[NoFactor, StepUpRequired])
    async def remove_contact_point(self, caller: Caller, channel: Channel) -> Done:
        """No code and no message goes there any more, and signing in asks for none. You are told by e-mail."""

    @post("/auth/mfa/codes/{channel}", allow=EVERYBODY,
          refuses=[NotConfirmed, FactorSet, StrongerFactorNeeded, StepUpRequired])
    async def ask_for_codes(self, caller: Caller, channel: Channel) -> ContactPoint:
        """From now on signing in asks for a code that is sent there. You are told by e-mail."""

    @delete("/auth/mfa/codes/{channel}", allow=EVERYBODY, refuses=[NoFactor, StepUpRequired])
    async def stop_asking_for_codes(self, caller: Caller, channel: Channel) -> Done:
        """Signing in asks for no such code any more. You are told by e-mail."""

    @post("/auth/mfa/send", status=202, allow={ANYONE: ANY}, refuses=[WrongCredentials, NoFactor, TooManyTries])
    async def send_second_factor(self, caller: Caller, body: SendSecondFactor) -> CodeAsked:
        """Between the two steps of signing in: send the code. Go on with POST /auth/token, its `code_id` and the `otp`."""
