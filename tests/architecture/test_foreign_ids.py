"""Ids of somebody else, put wherever a request has room for one: nothing is told, and nothing changes."""
from __future__ import annotations

import typing
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import msgspec
import pytest

from infirmary.kernel.contract import Operation
from infirmary.language import DOCTOR, PATIENT

from .asks import Ask
from .judge import MATRIX
from .requests import MAKERS, OPERATIONS
from .world import OTHER, OWN, TREATED, World

OF = {PATIENT: OWN, DOCTOR: TREATED}   # whose things the caller may have
PUBLIC = {PATIENT: {"doctor_id"}, DOCTOR: set[str]()}   # patients may name any doctor
OWN_MAKING = {"client", "to"}   # ids that browser pages give themselves, and are known by within one visit's room


async def foreign_ids(world: World) -> dict[str, UUID]:
    """Whatever of Bo's can be named."""
    bo = world.subject("", OTHER)
    return {"patient_id": bo.patient_id, "account_id": bo.account_id, "doctor_id": bo.diary_id,
            "appointment_id": (await world.visit(bo)).id, "session_id": await world.session(bo.account_id),
            "notification_id": await world.notification(bo.account_id, bo), "leave_id": await world.leave(bo.diary_id)}


def takes_id(kind: Any) -> bool:
    return kind is UUID or any(takes_id(one) for one in typing.get_args(kind))


def places_for_ids(operation: Operation) -> Iterator[tuple[str, str]]:
    """Where the contract has room for an id, used or not: (path, query or body; name)."""
    yield from (("path", name) for name in operation.path_names if takes_id(operation.hints[name]))
    yield from (("query", name) for name in operation.query_names if takes_id(operation.hints[name]))
    if operation.body is not None:
        yield from (("body", one.encode_name) for one in msgspec.structs.fields(operation.body) if takes_id(one.type))


def with_id(ask: Ask, place: str, name: str, value: UUID) -> Ask:
    changed: Any = {place: {**(getattr(ask, place) or {}), name: value}}
    return replace(ask, **changed, hides=(*ask.hides, name))


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("role", OF)
@pytest.mark.parametrize("name", sorted(OPERATIONS))
async def test_ids_of_others_open_nothing(world: World, name: str, role: Any) -> None:
    operation, token, foreign = OPERATIONS[name], world.token(role), await foreign_ids(world)
    ask = await MAKERS[name](operation, world, world.subject(role, OF[role]))
    foreign = {kind: value for kind, value in foreign.items() if kind not in PUBLIC[role]}
    before, wrong = world.kept(), list[str]()
    known = {(place, field) for place, field in places_for_ids(operation) if field not in OWN_MAKING}

    for place, field in sorted(known):
        for kind, value in foreign.items():
            tried = with_id(ask, place, field, value)
            reply = await world.send(tried, token)
            fitting = kind == field and "anyone" not in MATRIX[name]
            hidden = reply.status in (403, 404)
            if ask.listing and not hidden:
                twin = await world.send(tried.twin(), token)
                hidden = reply.json.get("items") == [] and reply.told == twin.told
            harmless = reply.status in (400, 401, 403, 404, 409, 422) or (operation.verb == "GET" and reply.status == 200)
            if not (hidden if fitting else harmless):
                wrong.append(f"{kind} as {field} in the {place}: {reply.status} {reply.body[:200]!r}")
            wrong += [f"{kind} as {field} in the {place} tells {word!r}" for word in world.hidden_from(role)
                      if word.encode() in reply.body]

    for place in ("query", *(["body"] if operation.body is not None and not operation.upload else [])):
        for kind in ("patient_id", "account_id", "doctor_id", "version", "roles"):
            if kind not in {field for where, field in known if where == place} and not declares(operation, place, kind):
                reply = await world.send(with_id(ask, place, kind, foreign.get(kind, foreign["patient_id"])), token)
                if reply.status not in (400, 403):
                    wrong.append(f"{kind} added to the {place}: {reply.status} {reply.body[:200]!r}")

    after = world.kept()
    assert not wrong + [f"changed {table}" for table in after if after[table] != before[table]]


def declares(operation: Operation, place: str, name: str) -> bool:
    if place == "query":
        return name in operation.query_names
    return name in {one.encode_name for one in msgspec.structs.fields(operation.body)}
