"""The room of a video visit is for the two of it, in its time, and carries what their browsers tell each other."""
from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from infirmary.contexts.appointments.contract import (
    Appointment,
    Mode,
    RescheduleAppointment,
    Status,
    VideoNotOffered,
    Why,
)
from infirmary.contexts.appointments.contract.video import (
    EnteredElsewhere,
    EnterRoom,
    NotByVideo,
    NotLetIn,
    Room,
    RoomClosed,
    RoomNotOpen,
    RoomState,
    Signal,
)
from infirmary.contexts.appointments.domain import video
from infirmary.contexts.appointments.events import PatientCheckedIn
from infirmary.contexts.appointments.service import AppointmentsService
from infirmary.contexts.appointments.service import video as service
from infirmary.contexts.appointments.tables import video as rows
from infirmary.kernel.access import Caller
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.errors import NotFound, RoleMayNot, TooManyTries
from infirmary.settings import Settings

from .builders import Clinic, a_clinic, admin, as_doctor, as_patient, at, nurse, reception

MINUTE = timedelta(minutes=1)


def until(clinic: Clinic, moment: datetime) -> None:
    clinic.clock.advance(moment - clinic.clock.now())


async def a_video_visit(clinic: Clinic, **more: Any) -> tuple[Appointment, Caller, Caller]:
    """At nine, and it is five to nine: the visit, its patient and its doctor."""
    visit = await clinic.book(await clinic.doctor(), at(9), mode=Mode.VIDEO, **more)
    until(clinic, at(8, 55))
    return visit, as_patient(visit.patient_id), as_doctor(visit.doctor_id)


async def enter(clinic: Clinic, caller: Caller, visit: Appointment, client: UUID | None = None) -> UUID:
    client = client or new_id()
    await clinic.ask.enter_room(caller, visit.id, EnterRoom(client=client))
    return client


class Watching:
    """What one of the two hears."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks, self._left = chunks, list[bytes]()

    async def __call__(self, kind: str) -> dict[str, Any]:
        """The next event of this kind."""
        async with asyncio.timeout(5):
            while True:
                while self._left:
                    if (event := self._left.pop(0)).startswith(f"event: {kind}\n".encode()):
                        found: dict[str, Any] = msgspec.json.decode(event.partition(b"data: ")[2])
                        return found
                try:
                    self._left = (await anext(self._chunks)).split(b"\n\n")
                except StopAsyncIteration:
                    raise AssertionError(f"the stream ended without {kind}") from None


async def watch(clinic: Clinic, caller: Caller, visit: Appointment, client: UUID) -> Watching:
    return Watching((await clinic.ask.watch_room(caller, visit.id, client)).chunks)


class TestWhenAndForWhom:
    async def test_it_opens_ten_minutes_before_and_says_when(self, clinic: Clinic):
        visit, patient, doctor = await a_video_visit(clinic)
        until(clinic, at(8, 50) - timedelta(seconds=1))
        for caller in (patient, doctor):
            with pytest.raises(RoomNotOpen) as refused:
                await enter(clinic, caller, visit)
            assert refused.value.extra == {"opens_at": at(8, 50).isoformat()}
        until(clinic, at(8, 50))
        await enter(clinic, patient, visit)

    async def test_it_closes_an_hour_after_the_end(self, clinic: Clinic):
        visit, patient, _ = await a_video_visit(clinic)
        until(clinic, visit.ends_at + 60 * MINUTE - timedelta(seconds=1))
        await enter(clinic, patient, visit)
        until(clinic, visit.ends_at + 60 * MINUTE)
        with pytest.raises(RoomClosed):
            await enter(clinic, patient, visit)
        assert (await clinic.ask.room(patient, visit.id)).state is RoomState.OVER

    async def test_everybody_else_finds_nothing_there(self, clinic: Clinic):
        visit, _, doctor = await a_video_visit(clinic)
        client = await enter(clinic, doctor, visit)
        for stranger in (as_patient(new_id()), as_doctor(new_id())):
            for ask in (clinic.ask.room(stranger, visit.id), enter(clinic, stranger, visit),
                        clinic.ask.watch_room(stranger, visit.id, client),
                        clinic.ask.leave_room(stranger, visit.id, EnterRoom(client=client)),
                        clinic.ask.send_signal(stranger, visit.id, Signal(client=client, to=client, data="{}"))):
                with pytest.raises(NotFound):
                    await ask
        for colleague in (reception, nurse, admin):
            with pytest.raises(RoleMayNot):
                await enter(clinic, colleague, visit)

    async def test_a_visit_in_person_has_no_room(self, clinic: Clinic):
        visit = await clinic.book(await clinic.doctor(), at(9))
        until(clinic, at(9))
        with pytest.raises(NotByVideo):
            await enter(clinic, as_patient(visit.patient_id), visit)
        with pytest.raises(NotByVideo):
            await clinic.ask.room(as_patient(visit.patient_id), visit.id)

    async def test_what_was_not_accepted_or_was_cancelled_has_no_open_room(self, clinic: Clinic):
        patient = new_id()
        doctor = await clinic.doctor(accepts_first=True)
        asked = await clinic.book(doctor, at(9), mode=Mode.VIDEO, patient_id=patient, caller=as_patient(patient))
        until(clinic, at(9))
        with pytest.raises(RoomNotOpen):
            await enter(clinic, as_patient(patient), asked)
        await clinic.ask.cancel(reception, asked.id, Why())
        with pytest.raises(RoomClosed):
            await enter(clinic, as_patient(patient), asked)


class TestChoosing:
    async def test_who_is_not_offered_video_is_told_so_with_all_else_in_the_way(self, clinic: Clinic):
        doctor = await clinic.doctor(video=False)
        await clinic.book(doctor, at(9))
        with pytest.raises(VideoNotOffered) as refused:
            await clinic.book(doctor, at(9), mode=Mode.VIDEO)
        assert [one["code"] for one in refused.value.extra["conflicts"]] == ["no_video", "doctor_taken"]
        assert refused.value.extra["alternatives"] == [], "no other time would help"

    async def test_a_video_visit_does_not_move_to_a_doctor_without_video(self, clinic: Clinic):
        visit, _, _ = await a_video_visit(clinic)
        with pytest.raises(VideoNotOffered):
            await clinic.ask.reschedule(reception, visit.id, RescheduleAppointment(
                starts_at=at(10), doctor_id=await clinic.doctor(video=False)))

    async def test_the_openings_say_who_offers_it(self, clinic: Clinic):
        await clinic.doctor(doctor_name="Dr A")
        await clinic.doctor(doctor_name="Dr B", video=False)
        assert {one.doctor_name: one.video for one in await clinic.ask.earliest(reception)} == {
            "Dr A": True, "Dr B": False}


class TestEntering:
    async def test_a_patient_who_enters_is_checked_in_once(self, every_clinic: Clinic):
        clinic = every_clinic
        visit, patient, _ = await a_video_visit(clinic)
        clients = [new_id() for _ in range(8)]
        rooms = await asyncio.gather(*(clinic.ask.enter_room(patient, visit.id, EnterRoom(client=one)) for one in clients))
        assert {(room.state, room.patient_there, room.doctor_there) for room in rooms} == {(RoomState.WAITING, True, False)}
        assert (await clinic.ask.appointment(patient, visit.id)).status is Status.CHECKED_IN
        assert len([fact for fact in await clinic.facts() if isinstance(fact, PatientCheckedIn)]) == 1
        async with clinic.db.reading() as reading:
            kept = await reading.all(rows.THERE, key=visit.id)
        assert len(kept) == 1, "with one page at a time"
        assert kept[0].client_id in clients

    async def test_a_doctor_who_enters_changes_nothing(self, clinic: Clinic):
        visit, patient, doctor = await a_video_visit(clinic)
        await enter(clinic, doctor, visit)
        assert (await clinic.ask.appointment(doctor, visit.id)).status is Status.BOOKED
        room = await clinic.ask.room(patient, visit.id)
        assert (room.doctor_there, room.patient_there) == (True, False)

    async def test_who_is_not_heard_of_is_not_there_any_more(self, clinic: Clinic):
        visit, patient, doctor = await a_video_visit(clinic)
        client = await enter(clinic, patient, visit)
        clinic.clock.advance(video.PRESENT_FOR)
        assert not (await clinic.ask.room(doctor, visit.id)).patient_there
        await enter(clinic, patient, visit, client)
        assert (await clinic.ask.room(doctor, visit.id)).patient_there
        await clinic.ask.leave_room(patient, visit.id, EnterRoom(client=client))
        assert not (await clinic.ask.room(doctor, visit.id)).patient_there

    async def test_it_is_on_record_who_came_and_went_and_nothing_of_what_was_said(self, clinic: Clinic):
        visit, patient, doctor = await a_video_visit(clinic)
        mine, theirs = await enter(clinic, doctor, visit), await enter(clinic, patient, visit)
        await clinic.ask.start(doctor, visit.id)
        await clinic.ask.send_signal(doctor, visit.id, Signal(client=mine, to=theirs, data="a secret"))
        await clinic.ask.leave_room(patient, visit.id, EnterRoom(client=theirs))
        entries = await clinic.audited()
        assert [(one.action, one.detail) for one in entries if one.action.startswith("video.")] == [
            ("video.entered", {"side": "doctor"}), ("video.entered", {"side": "patient"}), ("video.left", {"side": "patient"})]
        assert "a secret" not in str(entries) + str(await clinic.facts())


class TestWatching:
    async def test_each_hears_that_the_other_comes_and_where_to_reach_them_once_let_in(self, every_clinic: Clinic):
        clinic = every_clinic
        visit, patient, doctor = await a_video_visit(clinic)
        mine = await enter(clinic, doctor, visit)
        hears = await watch(clinic, doctor, visit, mine)
        assert await hears("room") == {"state": "waiting", "patient_there": False, "doctor_there": True, "peer": None}
        theirs = await enter(clinic, patient, visit)
        assert await hears("room") == {"state": "waiting", "patient_there": True, "doctor_there": True, "peer": None}
        await clinic.ask.start(doctor, visit.id)
        assert await hears("room") == {"state": "open", "patient_there": True, "doctor_there": True, "peer": str(theirs)}
        told = await watch(clinic, patient, visit, theirs)
        assert (await told("room"))["peer"] == str(mine)
        await clinic.ask.complete(doctor, visit.id)
        assert (await told("room"))["state"] == "over"

    async def test_what_one_browser_says_the_other_hears_and_again_after_a_dropped_line(self, every_clinic: Clinic):
        clinic = every_clinic
        visit, patient, doctor = await a_video_visit(clinic)
        mine, theirs = await enter(clinic, doctor, visit), await enter(clinic, patient, visit)
        await clinic.ask.start(doctor, visit.id)
        for data in ("offer", "candidate"):
            await clinic.ask.send_signal(doctor, visit.id, Signal(client=mine, to=theirs, data=data))
        heard = []
        for _ in range(2):   # the second time on a line of its own
            hears = await watch(clinic, patient, visit, theirs)
            heard.append([await hears("signal") for _ in range(2)])
        assert heard[0] == heard[1]
        assert [(one["from"], one["data"]) for one in heard[0]] == [(str(mine), "offer"), (str(mine), "candidate")]
        clinic.clock.advance(video.SIGNAL_KEPT)
        await clinic.service.tidy_video()
        async with clinic.db.reading() as reading:
            assert await reading.all(rows.SIGNALS.find()) == []

    async def test_nothing_passes_before_the_doctor_lets_the_patient_in(self, clinic: Clinic):
        visit, patient, doctor = await a_video_visit(clinic)
        mine, theirs = await enter(clinic, doctor, visit), await enter(clinic, patient, visit)
        with pytest.raises(NotLetIn):
            await clinic.ask.send_signal(patient, visit.id, Signal(client=theirs, to=mine, data="{}"))

    async def test_who_enters_on_another_page_leaves_the_first(self, clinic: Clinic, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(service, "RENEWS_EVERY", .01)
        visit, patient, doctor = await a_video_visit(clinic)
        await clinic.ask.start(doctor, visit.id)
        first = await enter(clinic, patient, visit)
        hears = await watch(clinic, patient, visit, first)
        await hears("room")
        await enter(clinic, patient, visit)
        assert await hears("elsewhere") == {}
        with pytest.raises(EnteredElsewhere):
            await watch(clinic, patient, visit, first)
        with pytest.raises(EnteredElsewhere):
            await clinic.ask.send_signal(patient, visit.id, Signal(client=first, to=new_id(), data="{}"))

    async def test_whoever_watches_a_visit_that_is_given_to_another_doctor_hears_no_more(
            self, clinic: Clinic, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(service, "RENEWS_EVERY", .01)
        visit, _, doctor = await a_video_visit(clinic)
        hears = await watch(clinic, doctor, visit, await enter(clinic, doctor, visit))
        await hears("room")
        await clinic.ask.reschedule(reception, visit.id, RescheduleAppointment(
            starts_at=at(9), doctor_id=await clinic.doctor()))
        with pytest.raises(AssertionError, match="ended"):
            await hears("never")

    async def test_a_guardian_whose_right_has_ended_hears_no_more(self, clinic: Clinic, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(service, "RENEWS_EVERY", .01)
        visit, _, doctor = await a_video_visit(clinic)
        guardian = new_id()
        clinic.register.guardians[visit.patient_id] = guardian
        hears = await watch(clinic, as_patient(guardian), visit, await enter(clinic, as_patient(guardian), visit))
        assert (await hears("room"))["patient_there"]
        await clinic.ask.start(doctor, visit.id)
        assert (await hears("room"))["state"] == "open"
        clinic.register.guardians.clear()
        with pytest.raises(AssertionError, match="ended"):
            await hears("never")

    async def test_a_flood_is_told_to_wait(self, clinic: Clinic, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(video, "MOST_SIGNALS", 3)
        visit, _, doctor = await a_video_visit(clinic)
        await clinic.ask.start(doctor, visit.id)
        mine = await enter(clinic, doctor, visit)
        for _ in range(3):
            await clinic.ask.send_signal(doctor, visit.id, Signal(client=mine, to=new_id(), data="{}"))
        with pytest.raises(TooManyTries):
            await clinic.ask.send_signal(doctor, visit.id, Signal(client=mine, to=new_id(), data="{}"))


async def test_two_processes_pass_on_what_the_two_say(database_url: Any):
    """The doctor's browser talks to one process, the patient's to another."""
    url = database_url("appointments")
    async with a_clinic(url) as here:
        visit, patient, doctor = await a_video_visit(here)
        there = Clinic(here.db, here.clock, Settings(), AppointmentsService)
        mine, theirs = await enter(here, doctor, visit), await enter(there, patient, visit)
        await here.ask.start(doctor, visit.id)
        hears = await watch(there, patient, visit, theirs)
        assert (await hears("room"))["peer"] == str(mine)
        await here.ask.send_signal(doctor, visit.id, Signal(client=mine, to=theirs, data="offer"))
        assert (await hears("signal"))["data"] == "offer"


class TestRelays:
    def test_a_credential_is_the_expiry_and_its_keyed_digest(self):
        [stun, turn] = video.ice_servers("stun:a:3478", "turn:b:3478?transport=udp, turns:b:5349", b"k" * 32,
                                         until=at(11), user="abc")
        assert (stun.urls, stun.username) == (["stun:a:3478"], "")
        assert turn.urls == ["turn:b:3478?transport=udp", "turns:b:5349"]
        assert turn.username == f"{int(at(11).timestamp())}:abc"
        assert base64.b64decode(turn.credential) == hmac.digest(b"k" * 32, turn.username.encode(), hashlib.sha1)

    def test_without_settings_browsers_reach_each_other_directly(self):
        assert video.ice_servers("", "", b"", until=at(11), user="abc") == []

    async def test_who_enters_learns_the_relays_and_who_looks_does_not(self, clinic: Clinic):
        clinic.service._stun = "stun:a:3478"
        visit, patient, _ = await a_video_visit(clinic)
        assert (await clinic.ask.room(patient, visit.id)).ice_servers == []
        entered: Room = await clinic.ask.enter_room(patient, visit.id, EnterRoom(client=new_id()))
        assert [one.urls for one in entered.ice_servers] == [["stun:a:3478"]]
