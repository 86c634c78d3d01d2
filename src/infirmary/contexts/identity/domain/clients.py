"""Programs: which roles they may hold, and what one sign-in of theirs reaches."""
from __future__ import annotations

from collections.abc import Collection

from infirmary.contexts.identity.contract import RoleIsForPeople, ScopeTooWide
from infirmary.kernel.errors import FieldError
from infirmary.language import DOCTOR, PATIENT, SERVICE, Role

FOR_PEOPLE = {PATIENT, DOCTOR, SERVICE}   # each says whose things are one's own; a program is nobody


def check_roles(roles: Collection[Role]) -> None:
    if wrong := sorted(FOR_PEOPLE.intersection(roles)):
        raise RoleIsForPeople(errors=[FieldError("roles", f"Leave out {', '.join(wrong)}.")])


def granted(held: Collection[str], scope: str) -> list[str]:
    """The roles of one token: those that `scope` (RFC 6749, 3.3) asks for, or else all."""
    asked = set(scope.split())
    if not asked <= set(held):
        raise ScopeTooWide(error="invalid_scope")
    return sorted(asked or held)
