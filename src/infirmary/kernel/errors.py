"""Refusals: why we say no. The same class in process and across the wire, shown as RFC 9457 problem details."""
from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec


class FieldError(msgspec.Struct, frozen=True):
    """One thing to mend: which field, and how."""

    field: str
    message: str


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 9457 problem details, with our own members `code`, `errors` and `request_id`."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldError] = []
    request_id: str = ""


class Refusal(Exception):
    """Base of every answer that is a no. Subclasses are sentences; their docstring is the default detail.

    `extra` holds further members for the problem document (JSON values), such as alternatives.
    """

    status: ClassVar[int] = 422
    code: ClassVar[str] = "refused"
    known: ClassVar[dict[str, type[Refusal]]] = {}

    def __init_subclass__(cls) -> None:
        cls.code = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        Refusal.known[cls.code] = cls

    def __init__(self, detail: str = "", *, errors: Sequence[FieldError] = (), retry_after: int | None = None,
                 **extra: Any) -> None:
        self.detail = detail or " ".join((type(self).__doc__ or self.code).split())
        self.errors, self.retry_after, self.extra = list(errors), retry_after, extra
        super().__init__(self.detail)

    @classmethod
    def title(cls) -> str:
        return cls.code.replace("_", " ").capitalize()

    def problem(self, request_id: str = "") -> dict[str, Any]:
        """The document as JSON values; `extra` beside the standard members."""
        standard = Problem(type=f"urn:infirmary:problem:{self.code}", title=self.title(), status=self.status,
                           detail=self.detail, code=self.code, errors=self.errors, request_id=request_id)
        return {**msgspec.to_builtins(self.extra), **msgspec.to_builtins(standard)}


class Malformed(Refusal):
    """The request cannot be read. Mend the fields named and send it again."""

    status = 400


class NotSignedIn(Refusal):
    """Sign in first: there is no token, or it is no longer valid."""

    status = 401


class RoleMayNot(Refusal):
    """Your role may not do this."""

    status = 403


class NotFound(Refusal):
    """There is no such thing, or it is not yours to see."""

    status = 404


class NoSuchPath(NotFound):
    """Nothing answers at this address."""


class MethodNotAllowed(Refusal):
    """This address does not answer to that method."""

    status = 405


class Conflict(Refusal):
    """This conflicts with what is already there."""

    status = 409


class StaleVersion(Refusal):
    """Somebody changed this since you read it. Read it again, and decide with the new version before you."""

    status = 412


class TooLarge(Refusal):
    """The request is larger than is accepted here."""

    status = 413


class UnsupportedMediaType(Refusal):
    """Send the body as the media type that the API document names."""

    status = 415


class KeyReused(Refusal):
    """This Idempotency-Key was used before with a different request. Use a new key for a new request."""


class VersionMissing(Refusal):
    """Say which version you are changing: send If-Match with the ETag that you read."""

    status = 428


class TooManyTries(Refusal):
    """Too many tries. Wait a little and try again."""

    status = 429


class Unavailable(Refusal):
    """This cannot be answered just now. Nothing was lost; try again shortly."""

    status = 503


class Broken(Refusal):
    """The fault is ours. Nothing was half-written. If it stays, tell us the request id."""

    status = 500
