"""Codes that are sent, to sign in with them: what is said about them, and the refusals."""
from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from infirmary.kernel.errors import NotSignedIn
from infirmary.language import Channel, Email

SixDigits = Annotated[str, Meta(min_length=1, max_length=20)]   # spaced as people like


class AskForCode(Struct, frozen=True, forbid_unknown_fields=True):
    """`email` names the account. A text message goes to the phone that this account has confirmed."""

    email: Email
    channel: Channel = Channel.EMAIL


class CodeAsked(Struct, frozen=True):
    """`code_id` goes with the code: it is good for whoever asked for it alone (ASVS 6.6.2). `expires_in` seconds."""

    code_id: UUID
    expires_in: int


class GiveCode(Struct, frozen=True, forbid_unknown_fields=True):
    code_id: UUID
    code: SixDigits


class SentCode(Struct, frozen=True):
    """What the message says, and where it goes: to a mailbox or a phone."""

    account_id: UUID
    email: str
    name: str
    code: str
    phone: str = ""


class CodeRefused(NotSignedIn):
    """This code does not match, or is good no more. Type the one in the newest message, or ask for another."""
