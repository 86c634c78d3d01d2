"""Moving the visits of a time together: what is proposed, and what each of them becomes."""
from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from uuid import UUID
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from infirmary.contexts.appointments.contract import (
    Appointment,
    DoctorNotAvailable,
    RescheduleAppointment,
    SlotNotOffered,
)
from infirmary.contexts.appointments.contract.plans import (
    FreeTime,
    ItemStatus,
    MakePlan,
    MoveItem,
    MovePlan,
    NotYourDiary,
    PlanLine,
    PlanStatus,
    UnderLeave,
    Unmoved,
    Whither,
)
from infirmary.kernel.errors import FieldError, Malformed

from . import hours, visits
from .hours import Schedule
from .participants import ALONE, Company, are_free
from .visits import Visit

MOST = 300                        # visits in one plan; a doctor sees fewer in a fortnight
LONGEST = timedelta(days=366)     # as leave is
AROUND = timedelta(days=31)       # how far from its time a visit is moved
NOTICE = timedelta(hours=24)      # nobody finds their visit moved to today
CHOICES = 8
AFTER = {PlanStatus.APPLYING: PlanStatus.APPLIED, PlanStatus.UNDOING: PlanStatus.UNDONE}


class Plan(Struct, frozen=True):
    """A MovePlan as it is kept. `by_...`: who made it, applied it or undid it last."""

    id: UUID
    doctor_id: UUID
    doctor_name: str
    starts_at: datetime
    ends_at: datetime
    whither: Whither
    status: PlanStatus
    left_over: int
    created_at: datetime
    by_account: UUID | None
    by_name: str
    by_roles: list[str]
    version: int


class Item(Struct, frozen=True):
    """A visit in a plan: where it stood, and where it goes."""

    id: UUID
    plan_id: UUID
    appointment_id: UUID
    starts_at: datetime
    ends_at: datetime
    to_doctor_id: UUID | None
    to_doctor_name: str
    to_starts_at: datetime | None
    status: ItemStatus
    why: Unmoved | None
    version: int


class Diaries:
    """Free places of some doctors. What is given to one visit is not offered to the next."""

    def __init__(self, schedules: Sequence[Schedule], busy: Mapping[UUID, set[int]], companies: Mapping[UUID, Company], *,
                 since: datetime, until: datetime, zone: ZoneInfo) -> None:
        """`busy` must know the doctors, the patients and who and what takes part, and is changed. `companies` by visit."""
        self._schedules, self._busy, self._within, self._zone = schedules, busy, (since, until), zone
        self._companies = companies
        self._places: dict[tuple[UUID, int], list[datetime]] = {}

    def nearest(self, visit: Visit) -> Iterator[FreeTime]:
        """Free for a doctor, the patient and all who take part, the nearest to its time first; of two as near, with the first
        doctor."""
        lasts = visit.ends_at - visit.starts_at
        return (FreeTime(doctor_id=one.doctor_id, doctor_name=one.doctor_name, starts_at=at, ends_at=at + lasts)
                for _, number, at in heapq.merge(*(self._of(number, visit, lasts)
                                                   for number in range(len(self._schedules))))
                for one in (self._schedules[number],) if self._fits(one.doctor_id, visit, at, at + lasts))

    def give(self, visit: Visit, time: FreeTime) -> None:
        for whose in (time.doctor_id, visit.patient_id, *(one.id for one in visit.participants)):
            self._busy[whose].update(hours.grains(time.starts_at, time.ends_at))

    def _of(self, number: int, visit: Visit, lasts: timedelta) -> Iterator[tuple[timedelta, int, datetime]]:
        """One doctor's places, going out from the visit's time both ways."""
        schedule, minutes = self._schedules[number], lasts // timedelta(minutes=1)
        key = schedule.doctor_id, minutes
        if key not in self._places:
            self._places[key] = [slot.starts_at for slot in hours.free(schedule, *self._within, self._zone,
                                                                       minutes=minutes)]
        places, wanted = self._places[key], visit.starts_at
        later = bisect_left(places, wanted)
        earlier = later - 1
        while earlier >= 0 or later < len(places):
            if later < len(places) and (earlier < 0 or places[later] - wanted <= wanted - places[earlier]):
                at, later = places[later], later + 1
            else:
                at, earlier = places[earlier], earlier - 1
            if abs(at - wanted) > AROUND:
                return
            yield abs(at - wanted), number, at

    def _fits(self, doctor_id: UUID, visit: Visit, begins: datetime, ends: datetime) -> bool:
        wanted, company = hours.grains(begins, ends), self._companies.get(visit.id, ALONE)
        return (self._busy[doctor_id].isdisjoint(wanted) and self._busy[visit.patient_id].isdisjoint(wanted)
                and doctor_id not in company.ids and are_free(company, self._busy, begins, ends, self._zone))


def span(starts_at: datetime, ends_at: datetime) -> None:
    if not starts_at < ends_at <= starts_at + LONGEST:
        raise Malformed(errors=[FieldError("ends_at", "Choose a time after the beginning, within a year.")])


def among(whither: Whither, doctor: Schedule, schedules: Sequence[Schedule], away: tuple[datetime, datetime],
          ) -> list[Schedule]:
    """Whose times are proposed. The doctor counts as away in the time of the plan, whether or not that is marked yet."""
    if whither is Whither.SAME_DOCTOR:
        leave = hours.seconds(away[0]), hours.seconds(away[1] + timedelta(microseconds=999_999))
        return [replace(doctor, away=[*doctor.away, leave])]
    alike: Callable[[Schedule], bool] = (
        (lambda one: one.specialty == doctor.specialty) if whither is Whither.SAME_SPECIALTY else
        (lambda one: one.department_id == doctor.department_id))
    return [one for one in schedules if one.active and one.doctor_id != doctor.doctor_id and alike(one)]


def window(standing: Sequence[Visit], *, now: datetime) -> tuple[datetime, datetime]:
    return (max(now + NOTICE, standing[0].starts_at - AROUND), max(now, standing[-1].starts_at) + AROUND)


def make(body: MakePlan, doctor: Schedule, *, plan_id: UUID, left_over: int, by: tuple[UUID | None, str, list[str]],
         own_only: bool, now: datetime) -> Plan:
    if own_only and body.whither is not Whither.SAME_DOCTOR:
        raise NotYourDiary
    return Plan(plan_id, doctor.doctor_id, doctor.doctor_name, body.starts_at, body.ends_at, body.whither,
                PlanStatus.DRAFT, left_over, now, *by, 1)


def propose(plan: Plan, standing: Sequence[Visit], diaries: Diaries, new_id: Callable[[], UUID]) -> list[Item]:
    """The earliest visit chooses first."""
    items = []
    for visit in standing:
        time = next(diaries.nearest(visit), None)
        if time is not None:
            diaries.give(visit, time)
        items.append(aimed(Item(new_id(), plan.id, visit.id, visit.starts_at, visit.ends_at, None, "", None,
                                ItemStatus.STANDING, None, 1), time, Unmoved.NOTHING_FREE))
    return items


def aimed(item: Item, time: FreeTime | None, otherwise: Unmoved) -> Item:
    if time is None:
        return replace(item, to_doctor_id=None, to_doctor_name="", to_starts_at=None, status=ItemStatus.STANDING,
                       why=otherwise)
    return replace(item, to_doctor_id=time.doctor_id, to_doctor_name=time.doctor_name, to_starts_at=time.starts_at,
                   status=ItemStatus.PROPOSED, why=None)


def choices(diaries: Diaries, visit: Visit) -> list[FreeTime]:
    return list(islice(diaries.nearest(visit), CHOICES))


def free_time(schedule: Schedule | None, starts_at: datetime, item: Item) -> FreeTime:
    """For this visit at that time, as staff asks for it."""
    if schedule is None:
        raise DoctorNotAvailable
    return FreeTime(doctor_id=schedule.doctor_id, doctor_name=schedule.doctor_name, starts_at=starts_at,
                    ends_at=starts_at + (item.ends_at - item.starts_at))


def target(item: Item) -> FreeTime:
    """Of an item that has one."""
    assert item.to_doctor_id is not None
    assert item.to_starts_at is not None
    return FreeTime(doctor_id=item.to_doctor_id, doctor_name=item.to_doctor_name, starts_at=item.to_starts_at,
                    ends_at=item.to_starts_at + (item.ends_at - item.starts_at))


def is_due(item: Item, *, back: bool) -> bool:
    """Whether it is still to be seen to."""
    return item.status is ItemStatus.PROPOSED if not back else item.status is ItemStatus.MOVED and item.why is None


def at_origin(plan: Plan, item: Item, visit: Visit) -> bool:
    return (visit.status in visits.MOVABLE
            and (visit.doctor_id, visit.starts_at, visit.ends_at) == (plan.doctor_id, item.starts_at, item.ends_at))


def at_target(item: Item, visit: Visit) -> bool:
    return (visit.status in visits.MOVABLE
            and (visit.doctor_id, visit.starts_at) == (item.to_doctor_id, item.to_starts_at))


def moved(plan: Plan, item: Item, visit: Visit, schedule: Schedule | None, company: Company, *, now: datetime,
          zone: ZoneInfo) -> Visit:
    """At the proposed time with the same company, by the rules that hold for staff."""
    assert item.to_starts_at is not None
    after = visits.rescheduled(
        visit, RescheduleAppointment(starts_at=item.to_starts_at, doctor_id=item.to_doctor_id), schedule=schedule,
        by_staff=True, now=now, zone=zone, company=company)
    if after.doctor_id == plan.doctor_id and after.starts_at < plan.ends_at and after.ends_at > plan.starts_at:
        raise SlotNotOffered("The doctor is away at that time: it lies in the time that the plan is for.")
    return after


def moved_back(item: Item, visit: Visit, doctor: Schedule | None, *, now: datetime, zone: ZoneInfo) -> Visit | Unmoved:
    """Where it was, whatever the hours say by now: it stood there."""
    if item.starts_at <= now:
        return Unmoved.TIME_PAST
    if doctor is None or not doctor.active:
        return Unmoved.DOCTOR_LEFT
    return visits.placed(visit, doctor, item.starts_at, item.ends_at, now=now, zone=zone)


def shown(plan: Plan, items: Sequence[Item], known: Mapping[UUID, Appointment]) -> MovePlan:
    return MovePlan(
        id=plan.id, doctor_id=plan.doctor_id, doctor_name=plan.doctor_name, starts_at=plan.starts_at,
        ends_at=plan.ends_at, whither=plan.whither, status=plan.status, left_over=plan.left_over,
        items=[_shown(item, known[item.appointment_id]) for item in items if item.appointment_id in known],
        created_at=plan.created_at, by=plan.by_name, version=plan.version)


def _shown(item: Item, visit: Appointment) -> MoveItem:
    time = target(item) if item.to_starts_at is not None else None
    return MoveItem(
        appointment_id=visit.id, patient_id=visit.patient_id, patient_name=visit.patient_name, visit_status=visit.status,
        starts_at=item.starts_at, ends_at=item.ends_at, to=time, status=item.status, why=item.why)


def line(plan: Plan) -> PlanLine:
    return PlanLine(id=plan.id, doctor_id=plan.doctor_id, doctor_name=plan.doctor_name, starts_at=plan.starts_at,
                    ends_at=plan.ends_at, status=plan.status, created_at=plan.created_at, by=plan.by_name)


def under_leave(doctor: Schedule, begins: datetime, ends: datetime, standing: Sequence[Visit],
                accompanied: Sequence[Visit]) -> UnderLeave:
    return UnderLeave(doctor_id=doctor.doctor_id, doctor_name=doctor.doctor_name, starts_at=begins, ends_at=ends,
                      visits=[visits.shown(one) for one in standing[:MOST]], count=len(standing),
                      accompanied=tuple(map(visits.shown, accompanied[:MOST])))
