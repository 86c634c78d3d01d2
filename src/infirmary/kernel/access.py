"""Who asks, and how far their role reaches. Deny by default; out of reach looks like not there."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from .errors import NotFound, NotSignedIn, RoleMayNot


class Scope(msgspec.Struct, frozen=True):
    """How far a role reaches: things whose `field` is one of the caller's own ids. `ANY` has no field."""

    name: str
    field: str = ""


ANY = Scope("any")
Policy = Mapping[str, Scope]   # role -> scope
ANYONE = "anyone"              # the role that everybody has, signed in or not


class Permit:
    """What one call may reach, and whether the service has applied it."""

    __slots__ = ("applied", "scopes")

    def __init__(self, scopes: frozenset[Scope]) -> None:
        self.scopes = scopes
        self.applied = ANY in scopes


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks: an account, its roles, and the ids that are its own (`{"owner_id": ...}`)."""

    account_id: UUID | None = None
    name: str = ""
    roles: frozenset[str] = frozenset()
    subjects: Mapping[str, UUID] = {}
    session_id: UUID | None = None
    token: str = ""
    permit: Permit | None = None
    on_behalf: str = ""   # by what right it stands for somebody else; the audit trail says so

    def __repr__(self) -> str:   # never the token
        return f"Caller({self.account_id}, roles={sorted(self.roles)})"

    @property
    def scopes(self) -> frozenset[Scope]:
        return self.permit.scopes if self.permit else frozenset()

    @property
    def unlimited(self) -> bool:
        return ANY in self.scopes

    def permitted(self, policy: Policy) -> Caller:
        """This caller, holding what the policy grants. Refuses (401, 403) where it grants nothing."""
        scopes = frozenset(scope for role, scope in policy.items() if role in self.roles or role == ANYONE)
        if not scopes:
            raise NotSignedIn if self.account_id is None else RoleMayNot
        return msgspec.structs.replace(self, permit=Permit(scopes))

    def standing_for(self, right: str, **subjects: UUID) -> Caller:
        """This caller in the place of somebody whose affairs are theirs: with that one's ids, by that right."""
        return msgspec.structs.replace(self, subjects={**self.subjects, **subjects}, on_behalf=right)

    def reaches(self, thing: object = None, /, **fields: UUID | None) -> bool:
        """Whether `must_reach` would let the caller through."""
        try:
            self.must_reach(thing, **fields)
        except NotFound:
            return False
        return True

    def must_reach(self, thing: object = None, /, **fields: UUID | None) -> None:
        """Refuse (404) unless a granted scope covers the thing: its fields, or those named."""
        if self.permit is not None:
            self.permit.applied = True
        for scope in self.scopes:
            if scope == ANY:
                return
            own = self.subjects.get(scope.field)
            value = fields[scope.field] if scope.field in fields else getattr(thing, scope.field, None)
            if own is not None and value == own:
                return
        raise NotFound

    def only(self, **asked: UUID | None) -> dict[str, UUID]:
        """For lists: the filters to search by. What was asked for, narrowed to what the caller reaches.

        Refuses (404) when a filter names somebody out of reach, or when nothing is within reach at all.
        """
        if self.permit is not None:
            self.permit.applied = True
        wanted = {field: value for field, value in asked.items() if value is not None}
        if self.unlimited:
            return wanted
        for scope in sorted(self.scopes, key=lambda scope: (scope.field not in wanted, scope.name)):
            own = self.subjects.get(scope.field)
            if own is not None and wanted.get(scope.field, own) == own:
                return {**wanted, scope.field: own}
        raise NotFound


NOBODY = Caller()


def caller_of(claims: Mapping[str, Any], token: str) -> Caller:
    """From the claims of a verified token."""
    return Caller(account_id=UUID(claims["sub"]), name=claims.get("name", ""), roles=frozenset(claims["roles"]),
                  subjects={"account_id": UUID(claims["sub"]),
                            **{field: UUID(value) for field, value in claims.get("subjects", {}).items()}},
                  session_id=UUID(claims["sid"]) if "sid" in claims else None, token=token)
