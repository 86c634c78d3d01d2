"""Rooms and equipment, and who and what takes part in a visit."""
from __future__ import annotations

from datetime import timedelta
from typing import Any

from infirmary.contexts.appointments.contract import Appointments
from infirmary.contexts.appointments.contract.resources import Resource, ResourceForm, ResourceKind
from tests.architecture.world import ROOT, Subject, World

from .making import PERSONS, asks


async def a_room(world: World) -> Resource:
    return await world.house.ask(Appointments).add_resource(ROOT, ResourceForm(
        kind=ResourceKind.ROOM, name=f"Room {world.count()}{world.mark}"))


@asks("appointments.resources")
async def resources(world: World, of: Subject) -> dict[str, Any]:
    return {"query": {"kind": "room"}}


@asks("appointments.add_resource")
async def add_resource(world: World, of: Subject) -> dict[str, Any]:
    return {"body": {"kind": "equipment", "name": f"Ultrasound {world.count()}{world.mark}"}}


@asks("appointments.resource", "appointments.amend_resource")
async def resource(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"resource_id": (await a_room(world)).id}, "body": {"active": False}, "if_match": 1}


@asks("appointments.resource_day")
async def resource_day(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"resource_id": (await a_room(world)).id}, "query": {"day": world.clock.now().date()}}


@asks("appointments.candidates")
async def candidates(world: World, of: Subject) -> dict[str, Any]:
    now = world.clock.now()
    return {"query": {"from": now, "to": now + timedelta(minutes=20)}}


@asks("appointments.set_participants", about=PERSONS)
async def set_participants(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"appointment_id": (await world.visit(of)).id}, "if_match": 1,
            "body": {"participants": [(await a_room(world)).id]}}
