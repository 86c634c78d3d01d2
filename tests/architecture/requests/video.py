"""Video visits, and what is said after a visit."""
from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from infirmary.contexts.appointments.contract import Mode, Status
from infirmary.contexts.appointments.contract.feedback import GiveFeedback
from infirmary.contexts.appointments.contract.video import Side
from infirmary.contexts.appointments.domain.feedback import given
from infirmary.contexts.appointments.domain.video import Presence
from infirmary.contexts.appointments.tables.feedback import FEEDBACK
from infirmary.contexts.appointments.tables.video import PRESENCES
from infirmary.kernel.database.columns import new_id
from tests.architecture.world import Subject, World

from .making import PERSONS, asks


@asks("appointments.room", about=PERSONS)
async def room(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"appointment_id": (await world.visit(of, mode=Mode.VIDEO)).id}}


@asks("appointments.enter_room", "appointments.leave_room", about=PERSONS)
async def enter_room(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"appointment_id": (await world.visit(of, mode=Mode.VIDEO)).id}, "body": {"client": new_id()}}


@asks("appointments.watch_room", about=PERSONS)
async def watch_room(world: World, of: Subject) -> dict[str, Any]:
    visit, client = await in_the_room(world, of)
    return {"path": {"appointment_id": visit}, "query": {"client": client}}


@asks("appointments.send_signal", about=PERSONS)
async def send_signal(world: World, of: Subject) -> dict[str, Any]:
    visit, client = await in_the_room(world, of)
    return {"path": {"appointment_id": visit}, "body": {"client": client, "to": new_id(), "data": "{}"}}


async def in_the_room(world: World, of: Subject) -> tuple[UUID, UUID]:
    """A visit that has begun, with one page on both sides of it."""
    visit, client = await world.visit(of, Status.IN_PROGRESS, mode=Mode.VIDEO), new_id()
    until = world.clock.now() + timedelta(minutes=1)
    async with world.house.rooms["appointments"].db.transaction() as tx:
        PRESENCES.add(tx, *(Presence(visit.id, side, client, until) for side in Side))
    return visit.id, client


@asks("appointments.give_feedback", about=PERSONS)
async def give_feedback(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"appointment_id": (await world.visit(of, Status.COMPLETED)).id},
            "body": {"rating": 2, "comment": f"{of.family_name}'s secret"}}


@asks("appointments.feedback", "appointments.change_feedback", about=PERSONS)
async def feedback(world: World, of: Subject) -> dict[str, Any]:
    visit = await world.visit(of, Status.COMPLETED)
    async with world.house.rooms["appointments"].db.transaction() as tx:
        FEEDBACK.add(tx, given(visit, GiveFeedback(rating=1, comment=f"{of.family_name}'s secret"), world.clock.now()))
    return {"path": {"appointment_id": visit.id}, "body": {"rating": 2}, "if_match": 1}


@asks("appointments.feedback_for_doctor", about=PERSONS)
async def feedback_for_doctor(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"doctor_id": of.diary_id}}


@asks("appointments.feedback_for_department")
async def feedback_for_department(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"department_id": world.departments["Cardiology"]}}
