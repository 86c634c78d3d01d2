"""The queue, its screens, and calendars by private link."""
from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from infirmary.contexts.appointments.contract import Appointments, Status
from infirmary.contexts.appointments.contract.queue import OpenDisplay, OpenedDisplay, Precedence, TokenStatus
from infirmary.contexts.appointments.domain import queue
from infirmary.contexts.appointments.tables.feeds import END_FEED, FEEDS, FeedRow
from infirmary.contexts.appointments.tables.queue import IN_LINE_ABOUT, TOKENS
from infirmary.contexts.staff.contract import Staff
from infirmary.kernel.capability import digest, new_secret
from infirmary.kernel.database.columns import new_id
from infirmary.language import PATIENT
from tests.architecture.world import ROOT, TREATED, Subject, World

from .making import ONES_OWN, PERSONS, asks


async def department_of(world: World, doctor_id: UUID) -> UUID:
    return (await world.house.ask(Staff).doctor(ROOT, doctor_id)).department_id


async def in_line(world: World, of: Subject, doctor_id: UUID, status: TokenStatus = TokenStatus.WAITING) -> UUID:
    """A number of today, of somebody who is booked."""
    room, now = world.house.rooms["appointments"], world.clock.now()
    called = status is TokenStatus.CALLED
    visit = await world.visit(of, Status.IN_PROGRESS if called else Status.CHECKED_IN)
    department = await department_of(world, doctor_id)
    line = await room.service.open_line(department, "Somewhere")
    token = queue.Token(
        new_id(), line, department, 10_000 + world.count(), of.patient_id, f"{of.family_name}'s secret", doctor_id,
        "Dr Somebody", now, Precedence.NONE, "", "", status, visit.id, now, now, 0, now - timedelta(hours=1) if called else
        None, None, "", visit.id, None, 1)
    async with room.db.transaction() as tx:
        TOKENS.add(tx, token)
    return token.id


@asks("appointments.queue", about=PERSONS)
async def the_queue(world: World, of: Subject) -> dict[str, Any]:
    return {"query": {"doctor_id": of.diary_id}, "hides": ("doctor_id",)}


@asks("appointments.take_number", about=PERSONS)
async def take_number(world: World, of: Subject) -> dict[str, Any]:
    room, department = world.house.rooms["appointments"], await department_of(world, of.doctor_id)
    async with room.db.transaction() as tx:   # nobody stands in line twice
        line = room.service.line_today(department)
        if kept := await tx.one(IN_LINE_ABOUT, line_id=line, open_about=of.patient_id):
            await TOKENS.save(tx, queue.over(kept, TokenStatus.LEFT, now=world.clock.now()))
    return {"body": {"patient_id": of.patient_id, "doctor_id": of.doctor_id, "department_id": department,
                     "reason": f"{of.family_name}'s secret"}, "hides": ("patient_id",)}


@asks("appointments.token_of", "appointments.link", about=PERSONS)
async def a_number(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"token_id": await in_line(world, of, of.doctor_id)}}


@asks("appointments.leave_queue", about=PERSONS)
async def leave_queue(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"token_id": await in_line(world, of, of.doctor_id)}, "body": {"reason": "Well again."}}


@asks("appointments.put_before", about=PERSONS)
async def put_before(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"token_id": await in_line(world, of, of.doctor_id)},
            "body": {"precedence": "emergency", "note": "Chest pain."}}


@asks("appointments.recall", "appointments.back_in_line", "appointments.not_there", about=PERSONS)
async def called(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"token_id": await in_line(world, of, of.doctor_id, TokenStatus.CALLED)}}


@asks("appointments.call_next", about=PERSONS)
async def call_next(world: World, of: Subject) -> dict[str, Any]:
    await in_line(world, world.subject("", TREATED), of.diary_id)   # whose name the calling doctor may know
    return {"body": {"doctor_id": of.diary_id}, "hides": ("doctor_id",)}


@asks("appointments.my_place", "appointments.my_place_stream")
async def my_place(world: World, of: Subject) -> dict[str, Any]:
    token_id = await in_line(world, of, of.doctor_id)
    return {"path": {"secret": (await world.house.ask(Appointments).link(ROOT, token_id)).secret}}


async def a_feed(world: World, account_id: UUID) -> str:
    """Of an account, as if it had just made it."""
    room, now, secret = world.house.rooms["appointments"], world.clock.now(), new_secret()
    async with room.db.transaction() as tx:
        await tx.run(END_FEED, key=account_id)
        FEEDS.add(tx, FeedRow(account_id, None, None, digest(secret), now, None, 0, now, 1))
    return secret


@asks("appointments.calendar_feed", "appointments.end_calendar_feed", "appointments.make_calendar_feed", about=ONES_OWN)
async def calendar_feed(world: World, of: Subject) -> dict[str, Any]:
    await a_feed(world, of.account_id)
    return {}


@asks("appointments.calendar")
async def calendar(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"file": f"{await a_feed(world, world.accounts[PATIENT].id)}.ics"}}


async def a_display(world: World) -> OpenedDisplay:
    return await world.house.ask(Appointments).open_display(ROOT, OpenDisplay(
        department_id=world.departments["Cardiology"], name="Waiting room"))


@asks("appointments.open_display")
async def open_display(world: World, of: Subject) -> dict[str, Any]:
    return {"body": {"department_id": world.departments["Cardiology"], "name": "Waiting room"}}


@asks("appointments.close_display")
async def close_display(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"display_id": (await a_display(world)).display.id}}


@asks("appointments.board", "appointments.board_stream")
async def board(world: World, of: Subject) -> dict[str, Any]:
    return {"path": {"secret": (await a_display(world)).secret}}
