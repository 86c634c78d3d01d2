"""Visits moved together, and those that recur."""
from __future__ import annotations

from datetime import timedelta
from typing import Any

from msgspec import to_builtins

from infirmary.contexts.appointments.contract import Appointments, BookAppointment
from infirmary.contexts.appointments.contract.plans import MakePlan, MovePlan, Target
from infirmary.contexts.appointments.contract.series import BookSeries, Frequency, Recurrence
from tests.architecture.world import ROOT, Subject, World

from .making import PERSONS, asks


async def a_plan(world: World, of: Subject) -> MovePlan:
    wanted, ask = world.free_time(), world.house.ask(Appointments)
    await ask.book(ROOT, BookAppointment(patient_id=of.patient_id, doctor_id=of.doctor_id, starts_at=wanted))
    made = await ask.make_plan(ROOT, MakePlan(doctor_id=of.doctor_id, starts_at=wanted,
                                              ends_at=wanted + timedelta(minutes=20)))
    whither = Target(starts_at=world.free_time())   # and not to the nearest time, which somebody is given next
    return await ask.set_target(ROOT, made.id, made.items[0].appointment_id, whither, if_match=made.version)


@asks("appointments.under_leave", about=PERSONS)
async def under_leave(world: World, of: Subject) -> dict[str, Any]:
    now = world.clock.now()
    return {"query": {"doctor_id": of.doctor_id, "from": now, "to": now + timedelta(hours=1)}}


@asks("appointments.plans", about=PERSONS)
async def plans(world: World, of: Subject) -> dict[str, Any]:
    return {"query": {"doctor_id": of.doctor_id}}


@asks("appointments.make_plan", about=PERSONS)
async def make_plan(world: World, of: Subject) -> dict[str, Any]:
    plan = await a_plan(world, of)
    return {"body": {"doctor_id": of.doctor_id, "starts_at": plan.starts_at, "ends_at": plan.ends_at}}


@asks("appointments.plan", "appointments.apply_plan", "appointments.undo_plan", about=PERSONS)
async def plan(world: World, of: Subject) -> dict[str, Any]:
    made = await a_plan(world, of)
    return {"path": {"plan_id": made.id}, "if_match": made.version}


@asks("appointments.times_for", "appointments.set_target", about=PERSONS)
async def plan_item(world: World, of: Subject) -> dict[str, Any]:
    made = await a_plan(world, of)
    return {"path": {"plan_id": made.id, "appointment_id": made.items[0].appointment_id}, "if_match": made.version,
            "body": {}}


def a_wish(world: World, of: Subject) -> BookSeries:
    """So far apart that nobody is given the later times."""
    return BookSeries(patient_id=of.patient_id, doctor_id=of.doctor_id, starts_at=world.free_time(),
                      reason=f"{of.family_name}'s secret", recurrence=Recurrence(
                          frequency=Frequency.WEEKLY, interval=30, count=2))


@asks("appointments.preview_series", "appointments.book_series", about=PERSONS)
async def book_series(world: World, of: Subject) -> dict[str, Any]:
    wish = a_wish(world, of)
    return {"body": {**to_builtins(wish), "patient_id": wish.patient_id, "doctor_id": wish.doctor_id},
            "hides": ("patient_id",)}


@asks("appointments.series", "appointments.cancel_series", about=PERSONS)
async def series(world: World, of: Subject) -> dict[str, Any]:
    made = await world.house.ask(Appointments).book_series(ROOT, a_wish(world, of))
    return {"path": {"series_id": made.id}, "body": {}}


@asks("appointments.move_series", about=PERSONS)
async def move_series(world: World, of: Subject) -> dict[str, Any]:
    made = await world.house.ask(Appointments).book_series(ROOT, a_wish(world, of))
    return {"path": {"series_id": made.id},
            "body": {"appointment_id": made.visits[0].id, "starts_at": world.free_time()}}
