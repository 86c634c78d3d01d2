"""Programs that sign in by themselves (RFC 6749, 4.4): what is said about them, and the refusals."""
from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from infirmary.kernel.access import ANY, Caller
from infirmary.kernel.contract import Contract, Cursor, Instant, Limit, Page, get, patch, post
from infirmary.kernel.errors import Conflict, NotFound, NotSignedIn, Refusal
from infirmary.language import ADMIN, Name, Role, StepUpRequired

Roles = Annotated[list[Role], Meta(min_length=1, max_length=8)]


class Client(Struct, frozen=True, kw_only=True):
    """A program. `id` is its client_id."""

    id: UUID
    name: str
    roles: list[Role]
    created_at: Instant
    secret_since: Instant
    last_used_at: Instant | None
    revoked_at: Instant | None
    version: int


class ClientForm(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: Name
    roles: Roles


class AmendClient(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: Name | UnsetType = UNSET
    roles: Roles | UnsetType = UNSET


class ClientSecret(Struct, frozen=True, kw_only=True):
    """The secret is shown this once; only a digest is kept."""

    client: Client
    client_secret: str
    version: int


class WrongClient(NotSignedIn):
    """The client_id and the client_secret do not match, or the client is revoked."""


class ScopeTooWide(Refusal):
    """The client does not hold every role that `scope` asks for. Ask for fewer, or leave it out for all it has."""

    status = 400


class RoleIsForPeople(Refusal):
    """A program is nobody's patient and no doctor, and a service is a part of this system: leave these roles out."""


class ClientRevoked(Conflict):
    """This client is revoked for good. Make another one."""


class Programs(Contract):
    @get("/clients", allow={ADMIN: ANY})
    async def clients(self, caller: Caller, limit: Limit = 25, cursor: Cursor | None = None) -> Page[Client]:
        """Programs that may sign in by themselves, newest first."""

    @post("/clients", status=201, allow={ADMIN: ANY}, refuses=[RoleIsForPeople, StepUpRequired])
    async def make_client(self, caller: Caller, body: ClientForm) -> ClientSecret:
        """A new program, with roles of its own; it reaches nothing else."""

    @get("/clients/{client_id}", allow={ADMIN: ANY}, refuses=[NotFound])
    async def client(self, caller: Caller, client_id: UUID) -> Client:
        """One program."""

    @patch("/clients/{client_id}", allow={ADMIN: ANY}, refuses=[NotFound, RoleIsForPeople, ClientRevoked, StepUpRequired])
    async def amend_client(self, caller: Caller, client_id: UUID, body: AmendClient, if_match: int) -> Client:
        """Another name or other roles; tokens that it has are void within seconds."""

    @post("/clients/{client_id}/rotate", allow={ADMIN: ANY}, refuses=[NotFound, ClientRevoked, StepUpRequired])
    async def rotate_client(self, caller: Caller, client_id: UUID, if_match: int) -> ClientSecret:
        """A new secret; the old one and the tokens it was traded for are good no more."""

    @post("/clients/{client_id}/revoke", allow={ADMIN: ANY}, refuses=[NotFound, ClientRevoked])
    async def revoke_client(self, caller: Caller, client_id: UUID, if_match: int) -> Client:
        """For good: it signs in no more, and its tokens are void within seconds."""
