"""When there is room, and what to offer instead of a time that is not."""
from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from infirmary.contexts.appointments import tables
from infirmary.contexts.appointments.contract import (
    Opening,
    Slot,
    Slots,
)
from infirmary.contexts.appointments.domain import hours
from infirmary.kernel.access import Caller
from infirmary.kernel.errors import FieldError, Malformed
from infirmary.language import OWN

from .base import Base, busy_times, there

LONGEST_QUESTION = timedelta(days=62, hours=2)   # days of wall time may be longer than 24 hours
LOOKED_AHEAD = (2, 8, 31)    # days; most doctors have time soon, and the rest of the month need not be read for them


class FreeTimes(Base):
    async def slots(self, caller: Caller, from_: datetime, to: datetime, doctor_id: UUID | None = None,
                    department_id: UUID | None = None) -> Slots:
        must_be_short(from_, to, *([FieldError("doctor_id", "Name either a doctor or a department.")]
                                   if (doctor_id is None) == (department_id is None) else []))
        now = self.clock.now()
        since = max(from_, now)
        async with self.db.reading() as reading:
            if doctor_id is not None:
                schedules = [there(await tables.SCHEDULES.get(reading, doctor_id))]
            else:
                schedules = await reading.all(tables.ACTIVE_IN, department_id=department_id)
            busy = await busy_times(reading, schedules, since, to, self.zone, now=now,
                                    patient_id=caller.subjects.get(OWN.field))
        found = [slot for one in schedules for slot in hours.free(one, since, to, self.zone, busy[one.doctor_id])]
        return Slots(sorted(found, key=lambda slot: (slot.starts_at, slot.doctor_id)))

    async def earliest(self, caller: Caller, department_id: UUID | None = None) -> list[Opening]:
        since = now = self.clock.now()
        found: dict[UUID, Slot] = {}
        async with self.db.reading() as reading:
            schedules = (await reading.all(tables.ACTIVE) if department_id is None else
                         await reading.all(tables.ACTIVE_IN, department_id=department_id))
            for days in LOOKED_AHEAD:
                until, looking = now + timedelta(days=days), [one for one in schedules if one.doctor_id not in found]
                busy = await busy_times(reading, looking, since, until, self.zone, now=now,
                                        patient_id=caller.subjects.get(OWN.field))
                for one in looking:
                    slot = next(hours.free(one, since, until, self.zone, busy[one.doctor_id]), None)
                    if slot is not None:
                        found[one.doctor_id] = slot
                since = until
        openings = [Opening(
            doctor_id=one.doctor_id, doctor_name=one.doctor_name, specialty=one.specialty,
            department_id=one.department_id, department_name=one.department_name, visit_minutes=one.visit_minutes,
            accepts_first=one.accepts_first, video=one.video, next=found.get(one.doctor_id)) for one in schedules]
        return sorted(openings, key=lambda one: (one.next is None, one.next and one.next.starts_at, one.doctor_name))


def must_be_short(from_: datetime, to: datetime, *wrong: FieldError) -> None:
    """Refuse what is `wrong` already, and a time that is longer than may be asked for at once."""
    if not from_ <= to <= from_ + LONGEST_QUESTION:
        wrong += (FieldError("to", "Choose a time after “from”, at most 62 days later."),)
    if wrong:
        raise Malformed(errors=list(wrong))
