"""A diary tells everybody who looks at it when it is not as it was."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from infirmary.contexts.appointments.contract import HoldSlot, RescheduleAppointment, Why
from infirmary.kernel import stream
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import Malformed, NotFound

from .builders import Clinic, as_doctor, at, hours, reception


@asynccontextmanager
async def looking(clinic: Clinic, doctor: UUID) -> AsyncIterator[AsyncIterator[bytes]]:
    told = (await clinic.ask.diary_changes(reception, doctor, from_=at(0), to=at(0, day=7))).chunks
    assert await anext(told) == b": here\n\n"
    async with asyncio.timeout(10):
        yield told


async def test_every_change_of_a_diary_is_told_on_each_engine(every_clinic: Clinic, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stream, "LOOKS_EVERY", .02)
    clinic, changed = every_clinic, b"event: diary\ndata: {}\n\n"
    doctor = await clinic.doctor()
    async with looking(clinic, doctor) as told:
        visit = await clinic.book(doctor, at(9))
        assert await anext(told) == changed
        await clinic.ask.reschedule(reception, visit.id, RescheduleAppointment(starts_at=at(10)))
        assert await anext(told) == changed
        await clinic.ask.hold(reception, HoldSlot(patient_id=new_id(), doctor_id=doctor, starts_at=at(11)))
        assert await anext(told) == changed
        await clinic.ask.cancel(reception, visit.id, Why())
        assert await anext(told) == changed
        await clinic.hear(hours(doctor, minutes=30, version=2))
        assert await anext(told) == changed


async def test_what_happens_in_other_diaries_and_weeks_is_not_told(clinic: Clinic, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stream, "LOOKS_EVERY", .02)
    monkeypatch.setattr(stream, "HEARTBEAT", .1)
    doctor, other = await clinic.doctor(), await clinic.doctor()
    async with looking(clinic, doctor) as told:
        await clinic.book(other, at(9))
        await clinic.book(doctor, at(9, day=7))
        assert await anext(told) == b": still here\n\n"


async def test_a_doctor_follows_their_own_diary_only_and_a_time_that_can_be_read(clinic: Clinic):
    doctor = await clinic.doctor()
    for caller, whose in ((as_doctor(new_id()), doctor), (reception, new_id())):
        with pytest.raises(NotFound):
            await clinic.ask.diary_changes(caller, whose, from_=at(0), to=at(0, day=7))
    with pytest.raises(Malformed):
        await clinic.ask.diary_changes(reception, doctor, from_=at(0), to=at(0, day=100))
