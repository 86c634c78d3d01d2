"""A person's visits in their own calendar: by a link that is theirs to end, and without what others must not read."""
from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import icalendar
import pytest
from msgspec.structs import replace

from infirmary.contexts.appointments.contract import Why
from infirmary.kernel.access import NOBODY, Caller
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import NotFound, RoleMayNot, TooManyTries

from .builders import Clinic, as_doctor, as_patient, at, nurse, reception


async def made(clinic: Clinic, whose: Caller) -> str:
    clinic.directory.add(whose)
    return (await clinic.ask.make_calendar_feed(whose)).secret


async def events(clinic: Clinic, secret: str) -> list[icalendar.Event]:
    file = await clinic.ask.calendar(NOBODY, f"{secret}.ics")
    return list(icalendar.Calendar.from_ical(file.content).walk("VEVENT"))


async def summaries(clinic: Clinic, secret: str) -> list[str]:
    return [str(one["summary"]) for one in await events(clinic, secret)]


class TestWhatItShows:
    async def test_a_patient_reads_the_doctor_and_never_why(self, every_clinic: Clinic):
        clinic, patient = every_clinic, new_id()
        doctor = await clinic.doctor()
        visit = await clinic.book(doctor, at(9), patient_id=patient, reason="Cough")
        await clinic.book(doctor, at(10), reason="Somebody else's")
        secret = await made(clinic, as_patient(patient))
        [event] = await events(clinic, secret)
        assert (event["summary"], event["dtstart"].dt, event["uid"]) == (
            "Dr Amara Okafor, Harbour Lane Hospital", at(9), f"{visit.id}@127.0.0.1")
        assert b"Cough" not in (await clinic.ask.calendar(NOBODY, f"{secret}.ics")).content
        await clinic.ask.cancel(reception, visit.id, Why())
        assert await events(clinic, secret) == []

    async def test_a_doctor_reads_no_names(self, every_clinic: Clinic):
        clinic = every_clinic
        doctor = await clinic.doctor()
        await clinic.book(doctor, at(9), reason="Cough")
        await clinic.book(await clinic.doctor(), at(9), reason="Not theirs")
        secret = await made(clinic, as_doctor(doctor))
        assert await summaries(clinic, secret) == ["Visit, Heart"]
        content = (await clinic.ask.calendar(NOBODY, f"{secret}.ics")).content
        assert not any(word in content for word in (b"Pat", b"Ient", b"Cough"))

    async def test_a_doctor_reads_where_they_take_part_too(self, clinic: Clinic):
        doctor, second = await clinic.doctor(), await clinic.doctor()
        await clinic.book(doctor, at(9), participants=[second])
        await clinic.book(second, at(10))
        secret = await made(clinic, as_doctor(second))
        assert await summaries(clinic, secret) == ["Visit, Heart", "Visit, Heart"]

    async def test_a_month_back_and_a_year_ahead_in_order(self, clinic: Clinic):
        patient, doctor = new_id(), await clinic.doctor()
        for day in (400, 3, 0):
            await clinic.book(doctor, at(9, day=day), patient_id=patient)
        secret = await made(clinic, as_patient(patient))
        assert [one["dtstart"].dt for one in await events(clinic, secret)] == [at(9), at(9, day=3)]
        clinic.clock.advance(timedelta(days=40))
        assert await summaries(clinic, secret) != []
        assert [one["dtstart"].dt for one in await events(clinic, secret)] == [at(9, day=400)]

    async def test_it_says_how_often_to_ask_and_changes_only_with_the_visits(self, clinic: Clinic):
        patient, doctor = new_id(), await clinic.doctor()
        visit = await clinic.book(doctor, at(9), patient_id=patient)
        secret = await made(clinic, as_patient(patient))
        first = await clinic.ask.calendar(NOBODY, f"{secret}.ics")
        assert b"REFRESH-INTERVAL;VALUE=DURATION:PT2H\r\nX-PUBLISHED-TTL:PT2H\r\n" in first.content
        clinic.clock.advance(timedelta(minutes=10))
        assert await clinic.ask.calendar(NOBODY, f"{secret}.ics") == first
        await clinic.ask.check_in(reception, visit.id)
        assert (await clinic.ask.calendar(NOBODY, f"{secret}.ics")).tag != first.tag


class TestTheLink:
    async def test_renewed_or_ended_the_old_one_finds_nothing(self, every_clinic: Clinic):
        clinic, me = every_clinic, as_patient(new_id())
        with pytest.raises(NotFound):
            await clinic.ask.calendar_feed(me)
        old, new = await made(clinic, me), await made(clinic, me)
        with pytest.raises(NotFound):
            await events(clinic, old)
        assert await events(clinic, new) == []
        assert (await clinic.ask.calendar_feed(me)).read_at == clinic.clock.now()
        await clinic.ask.end_calendar_feed(me)
        for attempt in (events(clinic, new), clinic.ask.calendar_feed(me), clinic.ask.end_calendar_feed(me)):
            with pytest.raises(NotFound):
                await attempt

    async def test_of_many_made_at_once_one_is_good(self, every_clinic: Clinic):
        clinic, me = every_clinic, as_patient(new_id())
        secrets = await asyncio.gather(*(made(clinic, me) for _ in range(4)))
        good = 0
        for secret in secrets:
            try:
                good += await events(clinic, secret) == []
            except NotFound:
                continue
        assert good == 1

    async def test_a_closed_account_has_no_calendar(self, clinic: Clinic):
        me = as_patient(new_id())
        secret = await made(clinic, me)
        clinic.directory.people.clear()
        with pytest.raises(NotFound):
            await events(clinic, secret)

    async def test_who_asks_too_often_waits(self, every_clinic: Clinic):
        clinic = every_clinic
        secret = await made(clinic, as_patient(new_id()))
        asked = await asyncio.gather(*(events(clinic, secret) for _ in range(35)), return_exceptions=True)
        refused = [one for one in asked if isinstance(one, TooManyTries)]
        assert len(refused) == 5
        assert refused[0].retry_after == 3600
        clinic.clock.advance(timedelta(hours=1))
        assert await events(clinic, secret) == []

    async def test_staff_without_visits_of_their_own_have_none(self, clinic: Clinic):
        for caller in (nurse, reception):
            with pytest.raises(RoleMayNot):
                await clinic.ask.make_calendar_feed(caller)

    async def test_it_stays_good_for_a_patient_whose_account_goes_with_another_record(self, clinic: Clinic):
        me, survivor = as_patient(new_id()), new_id()
        secret = await made(clinic, me)
        await clinic.book(await clinic.doctor(), at(9), patient_id=survivor)
        assert await events(clinic, secret) == []
        clinic.directory.people = [replace(me, subjects={**me.subjects, "patient_id": survivor})]
        assert len(await events(clinic, secret)) == 1

    async def test_only_a_digest_is_kept(self, clinic: Clinic, tmp_path: Path):
        secret = await made(clinic, as_doctor(UUID(int=1)))
        kept = b"".join(path.read_bytes() for path in sorted(tmp_path.glob("*")))   # noqa: ASYNC240 – a few pages
        assert secret.encode() not in kept
