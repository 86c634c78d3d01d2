"""A refusal with all that is in the way, and what to offer instead."""
from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from msgspec import to_builtins

from infirmary.contexts.appointments import tables
from infirmary.contexts.appointments.contract import (
    BookAppointment,
    DayIsFull,
    DoctorNotAvailable,
    HoldIsGone,
    Obstacle,
    ObstacleCode,
    ParticipantNotAvailable,
    PatientNotActive,
    RescheduleAppointment,
    Slot,
    SlotNotOffered,
    TimeIsPast,
    TimeIsTaken,
    TooManyVisits,
    VideoNotOffered,
)
from infirmary.contexts.appointments.domain import hours
from infirmary.contexts.appointments.domain.hours import Schedule
from infirmary.contexts.appointments.domain.obstacles import NO_OTHER_TIME_HELPS, WORDS, obstacle, whats
from infirmary.contexts.appointments.domain.participants import ALONE, Company, are_free
from infirmary.kernel.access import Caller
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.kernel.errors import Refusal

from .base import AROUND, Base, as_staff, busy_grains, busy_times
from .company import company_taken
from .days import full_days

LOOKED_AROUND = (2, 14, 62)   # days; most find time soon, and the rest need not be read for them
BLOCKED = (UniqueViolation, DayIsFull, HoldIsGone, DoctorNotAvailable, ParticipantNotAvailable, PatientNotActive,
           SlotNotOffered, TimeIsPast, TooManyVisits, VideoNotOffered)
OVERBOOKED = {ObstacleCode.DOCTOR_TAKEN, ObstacleCode.TIME_HELD, ObstacleCode.DAY_FULL}   # what overbooking is against


class Instead(Base):
    async def instead(self, no: Exception, caller: Caller, schedule: Schedule | None,
                      body: BookAppointment | RescheduleAppointment, patient_id: UUID, minutes: int | None,
                      company: Company = ALONE, own: UUID | None = None) -> Exception:
        """`no` (one of BLOCKED) said in full: what the rules found, whose time is taken, and the nearest times that are
        free for all of them, where another time helps. `own` visit is not in its own way."""
        if isinstance(no, UniqueViolation) and no.on != tables.taken.occupancy.name:
            return no
        wanted = body.starts_at
        found: list[Obstacle] = list(no.extra.get("conflicts", [])) if isinstance(no, Refusal) else []
        if schedule is not None:
            found += await self._taken(caller, schedule, patient_id, wanted, minutes, {own}, company)
            if body.overbook and any(one.code in OVERBOOKED for one in found):
                found.append(obstacle(ObstacleCode.NO_OVERBOOKING, whose="doctor"))
        kind = type(no) if isinstance(no, Refusal) else TimeIsTaken
        why = whats(found)
        if isinstance(no, HoldIsGone):
            why.insert(0, "This time is not held any more.")
        others: list[Slot] = []
        if schedule is None or NO_OTHER_TIME_HELPS & {one.code for one in found}:
            why += [WORDS[one.code].way_out for one in found if one.code in NO_OTHER_TIME_HELPS]
        else:
            others = await self._nearest(schedule, patient_id, wanted, minutes, company)
            why = why or ["This time has just gone."]
            why.append("Choose one of the nearest free times." if others else "No other time is free near it.")
        return kind(" ".join(why), conflicts=to_builtins(found), alternatives=to_builtins(others))

    async def _taken(self, caller: Caller, schedule: Schedule, patient_id: UUID, wanted: datetime, minutes: int | None,
                     own: Collection[UUID | None], company: Company = ALONE) -> list[Obstacle]:
        now = self.clock.now()
        if abs(wanted - now) > hours.FORESEEN:
            return []
        ends_at = wanted + timedelta(minutes=minutes or schedule.visit_minutes)
        of_patient, time = hours.grains(wanted, ends_at), hours.grains(
            wanted, ends_at + timedelta(minutes=schedule.buffer_minutes))
        async with self.db.reading() as reading:
            rows = [row for row in await reading.all(
                tables.taken.OCCUPIED, resources=[schedule.doctor_id, patient_id], since=time.start - AROUND,
                until=time.stop + AROUND) if row.appointment_id not in own]
            ids = {row.appointment_id for row in rows
                   if row.grain in (of_patient if row.resource_id == patient_id else time)}
            full = await full_days(reading, [schedule], wanted, wanted, self.zone, now=now, patient_id=patient_id, own=own)
            holds = {hold.id: hold for hold in await reading.all(tables.holds.HOLDS_OF, ids=list(ids))} if ids else {}
            theirs = {row.appointment_id for row in rows if row.resource_id == patient_id} & ids - holds.keys()
            known = await reading.all(tables.SHOWN_OF, ids=list(theirs)) if theirs else []
            of_others = await company_taken(reading, company, wanted, ends_at, own, now=now,
                                            offers=as_staff(caller, schedule.doctor_id))
        gone = {hold.id for hold in holds.values() if hold.expires_at <= now or hold.holder_id == patient_id}
        of_doctor = [row for row in rows if row.resource_id == schedule.doctor_id and row.appointment_id not in gone]
        found = [obstacle(ObstacleCode.DAY_FULL, whose="doctor")] if any(
            time.start in day for day in full.get(schedule.doctor_id, ())) else []
        for code, busy in (
                (ObstacleCode.DOCTOR_TAKEN, {row.grain for row in of_doctor if row.appointment_id not in holds}),
                (ObstacleCode.TIME_HELD, {row.grain for row in of_doctor if row.appointment_id in holds})):
            found += [obstacle(code, whose="doctor", starts_at=begins, ends_at=ends)
                      for begins, ends in hours.clashes(time, busy)]
        found += [obstacle(ObstacleCode.PATIENT_TAKEN, whose="patient", starts_at=visit.starts_at, ends_at=visit.ends_at,
                           appointment_id=visit.id if caller.reaches(visit) else None)
                  for visit in sorted(known, key=lambda visit: visit.starts_at)]
        found += [obstacle(ObstacleCode.PATIENT_OFFERED, whose="patient", starts_at=hold.starts_at, ends_at=hold.ends_at)
                  for hold in holds.values() if hold.patient_id == patient_id and hold.id not in gone]
        return found + of_others

    async def _nearest(self, schedule: Schedule, patient_id: UUID, wanted: datetime, minutes: int | None,
                       company: Company = ALONE) -> list[Slot]:
        now, found = self.clock.now(), list[Slot]()
        wanted = min(max(wanted, now), now + hours.FORESEEN)
        for days in LOOKED_AROUND:
            within = timedelta(days=days)
            async with self.db.reading() as reading:
                around = wanted - within, wanted + within
                busy = await busy_times(reading, [schedule], *around, self.zone, now=now, patient_id=patient_id)
                others = await busy_grains(reading, company.ids, *around, now=now, patient_id=patient_id)
            found = hours.nearest(schedule, wanted, minutes, now, self.zone, busy[schedule.doctor_id], within,
                                  busy[patient_id], partial(are_free, company, others, zone=self.zone))
            if len(found) == hours.SHOWN:
                break
        return found
