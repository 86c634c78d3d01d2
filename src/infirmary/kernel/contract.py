"""Declare once what a context may be asked. The routes, the API document, the permission check and the typed clients
are all made from this declaration (`binding`, `client`, `openapi`)."""
from __future__ import annotations

import inspect
import re
import typing
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, ClassVar, Generic, TypeVar

import msgspec

from .access import Policy
from .errors import Refusal

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

Instant = Annotated[datetime, msgspec.Meta(tz=True)]                   # RFC 3339 with an offset; answers are in UTC
Limit = Annotated[int, msgspec.Meta(ge=1, le=100)]                     # how many items a page has at most
Cursor = Annotated[str, msgspec.Meta(min_length=1, max_length=400)]    # the next_cursor of the page before


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list; `next_cursor` asks for the next, `total` is None where counting would cost too much."""

    items: list[T]
    next_cursor: str | None = None
    total: int | None = None


class File(msgspec.Struct, frozen=True):
    """An answer that is a file to keep. `tag` changes with its content, so that who has it need not fetch it again."""

    name: str
    content: bytes
    tag: str = ""


class Stream(msgspec.Struct, frozen=True):
    """An answer without end: server-sent events as they happen."""

    chunks: AsyncIterator[bytes]


class Upload(msgspec.Struct, frozen=True):
    """A body that is a file, taken in as it arrives: how much of it is too much, the service says. It cannot be read
    twice, so no Idempotency-Key tells a repetition: the service does, by what is in the file."""

    chunks: AsyncIterator[bytes]


class Download(msgspec.Struct, frozen=True):
    """An answer that is a file, made while it is sent. What cannot be finished breaks off, and is seen to."""

    name: str
    chunks: AsyncIterator[bytes]


class Done(msgspec.Struct, frozen=True):
    """It is done, and there is nothing more to say."""


class Form(msgspec.Struct, frozen=True):
    """Base of bodies that arrive as HTML form fields (OAuth 2 asks for that)."""


class Operation:
    """One thing a context may be asked.

    Parameters of the method: `body` is the JSON body; names in the path come from the path; `if_match` from the
    header (required where it has no default); the rest from the query (`from_` is `from` there). `takes` is the media type
    of a body that is an Upload. `queues`: seconds that whoever asks may stand in a queue of the service before anything
    is done; who asks from another process waits so much longer.
    """

    def __init__(self, method: Callable[..., Any], verb: str, path: str, *, allow: Policy, status: int,
                 refuses: Sequence[type[Refusal]], media: str, takes: str = "", queues: float = 0) -> None:
        self.method, self.verb, self.path, self.allow = method, verb, path, allow
        self.status, self.refuses, self.media, self.takes = status, tuple(refuses), media, takes
        self.queues = queues
        self.context = ""   # known once the contract class is made
        self.name = method.__name__
        self.signature = inspect.signature(method)
        self.path_names = tuple(re.findall(r"{(\w+)}", path))
        self.parameters = [p for n, p in self.signature.parameters.items() if n not in ("self", "caller")]
        self.query_names = tuple(p.name for p in self.parameters
                                 if p.name not in (*self.path_names, "body", "if_match"))

    @property
    def id(self) -> str:
        return f"{self.context}.{self.name}"

    @property
    def prefix(self) -> str:
        """Where the path is mounted: well-known addresses stand at the root (RFC 8615)."""
        return "" if self.path.startswith("/.well-known") else "/api/v1"

    @property
    def form(self) -> bool:
        return isinstance(self.body, type) and issubclass(self.body, Form)

    @property
    def upload(self) -> bool:
        return self.body is Upload

    @cached_property
    def hints(self) -> dict[str, Any]:
        return typing.get_type_hints(self.method, include_extras=True)

    @property
    def answer(self) -> Any:
        return self.hints["return"]

    @property
    def body(self) -> Any:
        return self.hints.get("body")

    @property
    def wants_version(self) -> bool | None:
        """True: If-Match is required. False: it may be sent. None: it plays no part."""
        match = self.signature.parameters.get("if_match")
        return None if match is None else match.default is inspect.Parameter.empty


def _declare(verb: str) -> Callable[..., Callable[[F], F]]:
    def declare(path: str, *, allow: Policy, status: int = 200, refuses: Sequence[type[Refusal]] = (),
                media: str = "application/json", takes: str = "", queues: float = 0) -> Callable[[F], F]:
        if not allow:
            raise TypeError(f"{verb} {path}: an operation without a policy cannot be declared")

        def mark(method: F) -> F:
            method.operation = Operation(  # type: ignore[attr-defined]
                method, verb, path, allow=allow, status=status, refuses=refuses, media=media, takes=takes,
                queues=queues)
            return method

        return mark

    return declare


get, post, put, patch, delete = (_declare(verb) for verb in ("GET", "POST", "PUT", "PATCH", "DELETE"))


class Contract:
    """Base of every contract: subclass it with `context="name"` and declare operations, here or in parts: classes without
    a context that the contract inherits."""

    context: ClassVar[str]
    operations: ClassVar[dict[str, Operation]]

    def __init_subclass__(cls, context: str = "") -> None:
        if not context:   # an implementation, a client or a part of a contract
            return
        cls.context = context
        cls.operations = {name: member.operation for part in cls.__mro__ for name, member in vars(part).items()
                          if hasattr(member, "operation")}
        for operation in cls.operations.values():
            operation.context = context


def wire_name(name: str) -> str:
    """`from_` in Python is `from` on the wire."""
    return name.rstrip("_")
