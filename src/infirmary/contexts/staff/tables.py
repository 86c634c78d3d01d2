"""Where the house and its people are kept.

Locks are taken in one order, departments before doctors, doctors by id. Who holds a doctor's row may change their
hours and leave, and reads what others have committed of them; so each fact about a doctor tells the whole truth.
"""
from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import (
    Boolean,
    Column,
    Index,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    delete,
    func,
    or_,
    select,
)

from infirmary.kernel.database.columns import EnumText, Id, Json, UtcDateTime
from infirmary.kernel.database.db import with_kernel_tables
from infirmary.kernel.database.rows import Pages, Rows
from infirmary.kernel.database.statement import Query, Statement
from infirmary.language import folded

from . import domain
from .contract import Department, Doctor, DoctorForm, Hours, Leave, Occupation, Opening, StaffMember

metadata = with_kernel_tables(MetaData())

department = Table(
    "department", metadata,
    Column("id", Id, primary_key=True),
    Column("name", String(100), nullable=False),
    Column("location", String(200), nullable=False),
    Column("icon", String(40), nullable=False),
    Column("accepts_first", Boolean, nullable=False),
    Column("open_name", String(domain.KEY_LENGTH)),   # NULL once closed: the name may be given again
    Column("retired_at", UtcDateTime),
    Column("version", Integer, nullable=False),
    UniqueConstraint("open_name"))

doctor = Table(
    "doctor", metadata,
    Column("id", Id, primary_key=True),
    Column("given_name", String(100), nullable=False),
    Column("family_name", String(100), nullable=False),
    Column("specialty", String(100), nullable=False),
    Column("department_id", Id, nullable=False, index=True),
    Column("room", String(200), nullable=False),
    Column("specialty_key", String(domain.KEY_LENGTH), nullable=False),
    Column("sort_name", String(domain.KEY_LENGTH), nullable=False),
    Column("search", Text, nullable=False),
    Column("retired_at", UtcDateTime),
    Column("version", Integer, nullable=False),
    Column("facts", Integer, nullable=False),
    Index("doctor_by_name", "sort_name", "id"))

hours = Table(
    "hours", metadata,
    Column("doctor_id", Id, primary_key=True),
    Column("visit_minutes", Integer, nullable=False),
    Column("buffer_minutes", Integer, nullable=False),
    Column("weekly", Json, nullable=False),
    Column("version", Integer, nullable=False),
    Column("video", Boolean, nullable=False, server_default="1"),
    Column("most_per_day", Integer),
    Column("overbook", Integer, nullable=False, server_default="0"))

leave = Table(
    "doctor_leave", metadata,   # LEAVE is a word of MySQL's
    Column("id", Id, primary_key=True),
    Column("doctor_id", Id, nullable=False),
    Column("starts_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),
    Column("reason", String(500), nullable=False),
    Index("doctor_leave_by_end", "doctor_id", "ends_at"))

member = Table(
    "member", metadata,
    Column("id", Id, primary_key=True),
    Column("given_name", String(100), nullable=False),
    Column("family_name", String(100), nullable=False),
    Column("occupation", EnumText(Occupation), nullable=False),
    Column("department_id", Id),
    Column("sort_name", String(domain.KEY_LENGTH), nullable=False),
    Column("search", Text, nullable=False),
    Column("retired_at", UtcDateTime),
    Column("version", Integer, nullable=False),
    Index("member_by_name", "sort_name", "id"))


class KeptDepartment(Struct, frozen=True):
    id: UUID
    name: str
    location: str
    icon: str
    accepts_first: bool
    open_name: str | None
    retired_at: datetime | None = None
    version: int = 1

    @property
    def shown(self) -> Department:
        return Department(id=self.id, name=self.name, location=self.location, icon=self.icon,
                          accepts_first=self.accepts_first, retired_at=self.retired_at, version=self.version)


class KeptDoctor(Struct, frozen=True):
    """`version` counts changes of the doctor; `facts` counts what was announced, hours and leave included."""

    id: UUID
    given_name: str
    family_name: str
    specialty: str
    department_id: UUID
    room: str
    specialty_key: str = ""
    sort_name: str = ""
    search: str = ""
    retired_at: datetime | None = None
    version: int = 1
    facts: int = 1

    def to_be_found(self) -> KeptDoctor:
        """With what searches and sorts it."""
        name = domain.doctors_name(self.given_name, self.family_name)
        return replace(self, specialty_key=domain.key(self.specialty), search=folded(f"{name} {self.specialty}"),
                       sort_name=domain.key(f"{self.family_name} {self.given_name}"))

    @property
    def form(self) -> DoctorForm:
        return DoctorForm(given_name=self.given_name, family_name=self.family_name, specialty=self.specialty,
                          department_id=self.department_id, room=self.room)

    def shown(self, department_name: str) -> Doctor:
        return Doctor(id=self.id, name=domain.doctors_name(self.given_name, self.family_name),
                      given_name=self.given_name, family_name=self.family_name, specialty=self.specialty,
                      department_id=self.department_id, department_name=department_name, room=self.room,
                      retired_at=self.retired_at, version=self.version)


class PlacedDoctor(KeptDoctor, frozen=True):
    """A doctor with the name of the department."""

    department_name: str = ""


class KeptHours(Struct, frozen=True):
    doctor_id: UUID
    visit_minutes: int
    buffer_minutes: int
    weekly: Any
    version: int = 1
    video: bool = True
    most_per_day: int | None = None
    overbook: int = 0

    @property
    def shown(self) -> Hours:
        return Hours(doctor_id=self.doctor_id, visit_minutes=self.visit_minutes, buffer_minutes=self.buffer_minutes,
                     video=self.video, weekly=msgspec.convert(self.weekly, list[Opening]), version=self.version,
                     most_per_day=self.most_per_day, overbook=self.overbook)


def no_hours(doctor_id: UUID) -> KeptHours:
    return KeptHours(doctor_id, domain.VISIT_MINUTES, 0, [], version=0)


class KeptLeave(Struct, frozen=True):
    id: UUID
    doctor_id: UUID
    starts_at: datetime
    ends_at: datetime
    reason: str

    @property
    def shown(self) -> Leave:
        return Leave(id=self.id, doctor_id=self.doctor_id, starts_at=self.starts_at, ends_at=self.ends_at,
                     reason=self.reason)


class KeptMember(Struct, frozen=True):
    id: UUID
    given_name: str
    family_name: str
    occupation: Occupation
    department_id: UUID | None
    sort_name: str = ""
    search: str = ""
    retired_at: datetime | None = None
    version: int = 1

    def to_be_found(self) -> KeptMember:
        return replace(self, search=folded(f"{self.given_name} {self.family_name}"),
                       sort_name=domain.key(f"{self.family_name} {self.given_name}"))

    @property
    def shown(self) -> StaffMember:
        return StaffMember(id=self.id, name=f"{self.given_name} {self.family_name}", given_name=self.given_name,
                           family_name=self.family_name, occupation=self.occupation, department_id=self.department_id,
                           retired_at=self.retired_at, version=self.version)


DEPARTMENTS = Rows(department, KeptDepartment)
DOCTORS = Rows(doctor, KeptDoctor, version="facts")   # whoever saves a doctor announces it
HOURS = Rows(hours, KeptHours, key="doctor_id")
LEAVE = Rows(leave, KeptLeave, version=None)
MEMBERS = Rows(member, KeptMember)

# SQLite leaves FOR UPDATE out: there a transaction that writes is alone.
DEPARTMENT_HELD = Query(select(department).where(department.c.id == bindparam("key"), department.c.retired_at.is_(None))
                        .with_for_update(), KeptDepartment)
DOCTOR_HELD = Query(select(doctor).where(doctor.c.id == bindparam("key"), doctor.c.retired_at.is_(None))
                    .with_for_update(), KeptDoctor)
_at_work_in = (doctor.c.department_id == bindparam("department_id"), doctor.c.retired_at.is_(None))
DOCTORS_HELD = Query(select(doctor).where(*_at_work_in).order_by(doctor.c.id).with_for_update(), KeptDoctor)
DOCTORS_IN = Query(select(func.count()).select_from(doctor).where(*_at_work_in), int)
MEMBER_HELD = Query(select(member).where(member.c.id == bindparam("key"), member.c.retired_at.is_(None))
                    .with_for_update(), KeptMember)

_placed = (select(doctor, department.c.name.label("department_name"))
           .join(department, department.c.id == doctor.c.department_id))
DOCTOR = Query(_placed.where(doctor.c.id == bindparam("key")), PlacedDoctor)

HOURS_OF = HOURS.find(hours.c.doctor_id.in_(bindparam("ids", expanding=True)))
LEAVE_OF = LEAVE.find(leave.c.doctor_id.in_(bindparam("ids", expanding=True)), leave.c.ends_at > bindparam("after"),
                      order_by=[leave.c.starts_at])
_not_over = (leave.c.doctor_id == bindparam("doctor_id"), leave.c.ends_at > bindparam("after"))
LEAVE_FROM = LEAVE.find(*_not_over, order_by=[leave.c.starts_at])
LEAVE_BETWEEN = LEAVE.find(*_not_over, leave.c.starts_at < bindparam("before"), order_by=[leave.c.starts_at])
TAKE_BACK = Statement(delete(leave).where(leave.c.id == bindparam("key"), leave.c.doctor_id == bindparam("doctor_id")))

OPEN_DEPARTMENTS = Pages(select(department).where(department.c.open_name.is_not(None)), KeptDepartment,
                         [department.c.open_name])


@lru_cache
def doctor_pages(filters: frozenset[str]) -> Pages[PlacedDoctor]:
    """Doctors at work by family name, with any of the filters department_id, specialty, word_0 and so on."""
    known = {"department_id": doctor.c.department_id == bindparam("department_id"),
             "specialty": doctor.c.specialty_key == bindparam("specialty")}
    core = _placed.where(doctor.c.retired_at.is_(None), *(test for name, test in known.items() if name in filters))
    return Pages(_with_words(core, filters, doctor.c.search, department.c.open_name), PlacedDoctor,
                 [doctor.c.sort_name, doctor.c.id])


@lru_cache
def member_pages(filters: frozenset[str]) -> Pages[KeptMember]:
    """Staff at work by family name, with any of the filters department_id, occupation, word_0 and so on."""
    known = {"department_id": member.c.department_id == bindparam("department_id"),
             "occupation": member.c.occupation == bindparam("occupation")}
    core = select(member).where(member.c.retired_at.is_(None),
                                *(test for name, test in known.items() if name in filters))
    return Pages(_with_words(core, filters, member.c.search), KeptMember, [member.c.sort_name, member.c.id])


def _with_words(core: Select[Any], filters: frozenset[str], *columns: Column[Any]) -> Select[Any]:
    for name in sorted(filters):
        if name.startswith("word_"):
            core = core.where(or_(*(column.like(bindparam(name), escape="!") for column in columns)))
    return core


def words(q: str) -> dict[str, str]:
    """The filters for a search text. Each word must be found; after six, more of them make nothing clearer."""
    def anywhere(word: str) -> str:
        for special in "!%_":
            word = word.replace(special, f"!{special}")
        return f"%{word}%"
    return {f"word_{at}": anywhere(word) for at, word in enumerate(folded(q).split()[:6])}
