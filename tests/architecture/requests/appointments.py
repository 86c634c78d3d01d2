"""Visits, holds and the waitlist."""
from __future__ import annotations

from datetime import timedelta
from typing import Any

from infirmary.contexts.appointments.contract import Appointments, HoldSlot, Status
from infirmary.contexts.appointments.contract.waitlist import JoinWaitlist, Standing
from tests.architecture.world import OTHER, ROOT, Subject, World

from .making import PERSONS, asks


@asks("appointments.collisions")
async def collisions(world: World, of: Subject) -> dict[str, Any]:
    return {"query": {"patient_id": of.patient_id, "other_id": world.patients[OTHER]}}


@asks("appointments.slots")
async def slots(world: World, of: Subject) -> dict[str, Any]:
    now = world.clock.now()
    return {"query": {"doctor_id": of.doctor_id, "from": now, "to": now + timedelta(days=2)}}


@asks("appointments.slots_for", about=PERSONS)
async def slots_for(world: World, of: Subject) -> dict[str, Any]:
    return {**await slots(world, of), "path": {"patient_id": of.patient_id}}


@asks("appointments.earliest_for", about=PERSONS)
async def earliest_for(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"patient_id": of.patient_id}}


@asks("appointments.book", about=PERSONS)
async def book(world: World, of: Subject) -> dict[str, Any]:
    return {"body": {"patient_id": of.patient_id, "doctor_id": of.doctor_id, "starts_at": world.free_time(),
                     "reason": f"{of.family_name}'s secret"}, "hides": ("patient_id",)}


@asks("appointments.hold", about=PERSONS)
async def hold(world: World, of: Subject) -> dict[str, Any]:
    return {"body": {"patient_id": of.patient_id, "doctor_id": of.doctor_id, "starts_at": world.free_time()},
            "hides": ("patient_id",)}


@asks("appointments.held", "appointments.let_go", about=PERSONS)
async def held(world: World, of: Subject) -> dict[str, Any]:
    kept = await world.house.ask(Appointments).hold(ROOT, HoldSlot(
        patient_id=of.patient_id, doctor_id=of.doctor_id, starts_at=world.free_time()))
    return {"path": {"hold_id": kept.hold_id}}


@asks("appointments.join_waitlist", about=PERSONS)
async def join_waitlist(world: World, of: Subject) -> dict[str, Any]:
    await no_place(world, of)
    now = world.clock.now()
    return {"body": {"patient_id": of.patient_id, "doctor_id": of.doctor_id, "earliest": now,
                     "latest": now + timedelta(hours=1)}, "hides": ("patient_id",)}


async def no_place(world: World, of: Subject) -> None:
    """Nobody waits twice for the same."""
    ask = world.house.ask(Appointments)
    for status in (Standing.WAITING, Standing.OFFERED):
        for one in (await ask.waitlist(ROOT, patient_id=of.patient_id, status=status)).items:
            await ask.leave_waitlist(ROOT, one.id)


@asks("appointments.waitlist", about=PERSONS)
async def waitlist(world: World, of: Subject) -> dict[str, Any]:
    return {"query": {"patient_id": of.patient_id}, "hides": ("patient_id",), "listing": True}


@asks("appointments.waiting", "appointments.accept_offer", "appointments.leave_waitlist", about=PERSONS)
async def waiting(world: World, of: Subject) -> dict[str, Any]:
    """A place with an offer: the time they wait for is free."""
    await no_place(world, of)
    wanted = world.free_time()
    place = await world.house.ask(Appointments).join_waitlist(ROOT, JoinWaitlist(
        patient_id=of.patient_id, doctor_id=of.doctor_id, earliest=wanted, latest=wanted))
    await world.house.rooms["appointments"].service.offer_freed()
    return {"path": {"waiting_id": place.id}}


@asks("appointments.appointments", about=PERSONS)
async def appointments(world: World, of: Subject) -> dict[str, Any]:
    return {"query": {"patient_id": of.patient_id}, "hides": ("patient_id",), "listing": True}


@asks("appointments.diary_changes", about=PERSONS)
async def diary_changes(world: World, of: Subject) -> dict[str, Any]:
    now = world.clock.now()
    return {"path": {"doctor_id": of.diary_id}, "query": {"from": now, "to": now + timedelta(days=7)}}


@asks("appointments.open_visits", about=PERSONS)
async def open_visits(world: World, of: Subject) -> dict[str, Any]:
    return {"query": {"patient_id": of.patient_id}, "hides": ("patient_id",)}


@asks("appointments.appointment", "appointments.steps", "appointments.calendar_file", about=PERSONS)
async def visit(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"appointment_id": (await world.visit(of)).id}}


@asks("appointments.accept", about=PERSONS)
async def accept(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"appointment_id": (await world.visit(of, Status.REQUESTED)).id}, "if_match": 1}


@asks("appointments.decline", about=PERSONS)
async def decline(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"appointment_id": (await world.visit(of, Status.REQUESTED)).id}, "body": {"reason": "Full."}}


@asks("appointments.reschedule", about=PERSONS)
async def reschedule(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"appointment_id": (await world.visit(of)).id}, "body": {"starts_at": world.free_time()}}


@asks("appointments.cancel", about=PERSONS)
async def cancel(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"appointment_id": (await world.visit(of)).id}, "body": {"reason": "Well again."}, "if_match": 1}


@asks("appointments.check_in", "appointments.start", "appointments.no_show", about=PERSONS)
async def on_the_day(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"appointment_id": (await world.visit(of)).id}}


@asks("appointments.complete", about=PERSONS)
async def complete(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"appointment_id": (await world.visit(of, Status.IN_PROGRESS)).id}}
