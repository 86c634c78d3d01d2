"""Codes that are sent, to sign in with them: what is said about them, and the refusals."""
from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from infirmary.kernel.errors import NotSignedIn
from infirmary.language import Email

SixDigits = Annotated[str, Meta(min_length=1, max_length=20)]   # spaced as people like


class AskForCode(Struct, frozen=True, forbid_unknown_fields=True):
    email: Email


class CodeAsked(Struct, frozen=True):
    """`code_id` goes with the code: it is good for whoever asked for it alone (ASVS 6.6.2). `expires_in` seconds."""

    code_id: UUID
    expires_in: int


class GiveCode(Struct, frozen=True, forbid_unknown_fields=True):
    code_id: UUID
    code: SixDigits


class SentCode(Struct, frozen=True):
    """What the e-mail says."""

    account_id: UUID
    email: str
    name: str
    code: str


class CodeRefused(NotSignedIn):
    """This code does not match, or is good no more. Type the one in the newest e-mail, or ask for another."""
