"""What may be asked about departments, doctors and other staff."""
from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from infirmary.kernel.access import ANY, ANYONE, Caller
from infirmary.kernel.contract import Contract, Cursor, Done, Instant, Limit, Page, delete, get, patch, post, put
from infirmary.kernel.errors import Conflict, NotFound, Refusal
from infirmary.language import ADMIN, DOCTOR, NURSE, RECEPTION, TREATING, Line, Name, Note, SearchText

ClockTime = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][05]$|^24:00$")]   # wall time, on five minutes
Icon = Annotated[str, Meta(max_length=40, pattern=r"^[a-z0-9-]*$")]


class DepartmentForm(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`accepts_first`: what patients book online is a request until the department accepts it."""

    name: Name
    location: Line = ""
    icon: Icon = "building-hospital"
    accepts_first: bool = False


class Department(Struct, frozen=True, kw_only=True):
    id: UUID
    name: str
    location: str
    icon: str
    accepts_first: bool
    retired_at: Instant | None
    version: int


class DoctorForm(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    given_name: Name
    family_name: Name
    specialty: Name
    department_id: UUID
    room: Line = ""


class AmendDoctor(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    given_name: Name | UnsetType = UNSET
    family_name: Name | UnsetType = UNSET
    specialty: Name | UnsetType = UNSET
    department_id: UUID | UnsetType = UNSET
    room: Line | UnsetType = UNSET


class Doctor(Struct, frozen=True, kw_only=True):
    """What anybody may know of a doctor. `name` is how they are addressed: Dr Amara Okafor."""

    id: UUID
    name: str
    given_name: str
    family_name: str
    specialty: str
    department_id: UUID
    department_name: str
    room: str
    retired_at: Instant | None
    version: int


class Occupation(StrEnum):
    NURSE = "nurse"
    RECEPTION = "reception"
    PHARMACIST = "pharmacist"
    CASHIER = "cashier"
    ADMIN = "admin"
    AUDITOR = "auditor"
    OTHER = "other"


class StaffForm(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    given_name: Name
    family_name: Name
    occupation: Occupation
    department_id: UUID | None = None


class StaffMember(Struct, frozen=True, kw_only=True):
    id: UUID
    name: str
    given_name: str
    family_name: str
    occupation: Occupation
    department_id: UUID | None
    retired_at: Instant | None
    version: int


class Opening(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One stretch of a week: ISO weekday (1 is Monday), from and until in the hospital's wall time."""

    weekday: Annotated[int, Meta(ge=1, le=7)]
    starts: ClockTime
    ends: ClockTime
    location: Line = ""


class HoursForm(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A slot is offered every `visit_minutes` + `buffer_minutes`; both are multiples of five. `video`: patients may
    choose to be seen by video.

    `most_per_day`: visits that the doctor takes on a day, None without a limit. `overbook`: visits that staff may book over
    one that is there already, at a time; 0 means never.
    """

    visit_minutes: Annotated[int, Meta(ge=5, le=240, multiple_of=5)]
    buffer_minutes: Annotated[int, Meta(ge=0, le=120, multiple_of=5)] = 0
    most_per_day: Annotated[int, Meta(ge=1, le=200)] | None = None
    overbook: Annotated[int, Meta(ge=0, le=5)] = 0
    video: bool = True
    weekly: Annotated[list[Opening], Meta(max_length=42)]


class Hours(Struct, frozen=True, kw_only=True):
    doctor_id: UUID
    visit_minutes: int
    buffer_minutes: int
    video: bool = True
    weekly: list[Opening]
    version: int
    most_per_day: int | None = None
    overbook: int = 0


class LeaveForm(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    starts_at: Instant
    ends_at: Instant
    reason: Note = ""


class Leave(Struct, frozen=True, kw_only=True):
    id: UUID
    doctor_id: UUID
    starts_at: Instant
    ends_at: Instant
    reason: str


class NameTaken(Conflict):
    """There is a department with this name already."""


class DepartmentInUse(Conflict):
    """Doctors still belong to this department. Move them first."""


class NoSuchDepartment(Refusal):
    """There is no open department with this id."""


class OpeningsOverlap(Refusal):
    """Two stretches of the week overlap, or one ends before it begins."""


class LeaveBackwards(Refusal):
    """Leave ends after it begins, and lasts at most a year."""


class LeaveOverlaps(Conflict):
    """There is leave in this time already."""


class Staff(Contract, context="staff"):
    @get("/departments", allow={ANYONE: ANY})
    async def departments(self, caller: Caller, limit: Limit = 100, cursor: Cursor | None = None) -> Page[Department]:
        """Open departments by name."""

    @post("/departments", status=201, allow={ADMIN: ANY}, refuses=[NameTaken])
    async def open_department(self, caller: Caller, body: DepartmentForm) -> Department:
        """Open a department."""

    @get("/departments/{department_id}", allow={ANYONE: ANY}, refuses=[NotFound])
    async def department(self, caller: Caller, department_id: UUID) -> Department:
        """One department."""

    @put("/departments/{department_id}", allow={ADMIN: ANY}, refuses=[NotFound, NameTaken])
    async def replace_department(self, caller: Caller, department_id: UUID, body: DepartmentForm,
                                 if_match: int) -> Department:
        """Change a department."""

    @delete("/departments/{department_id}", allow={ADMIN: ANY}, refuses=[NotFound, DepartmentInUse])
    async def close_department(self, caller: Caller, department_id: UUID, if_match: int) -> Department:
        """Close a department; what happened there stays."""

    @get("/doctors", allow={ANYONE: ANY})
    async def doctors(self, caller: Caller, department_id: UUID | None = None, specialty: SearchText | None = None,
                      q: SearchText = "", limit: Limit = 25, cursor: Cursor | None = None) -> Page[Doctor]:
        """Doctors who see patients, by family name. `q` searches name, specialty and department."""

    @post("/doctors", status=201, allow={ADMIN: ANY}, refuses=[NoSuchDepartment])
    async def engage_doctor(self, caller: Caller, body: DoctorForm) -> Doctor:
        """A doctor joins. Give them hours next; an account is made separately."""

    @get("/doctors/{doctor_id}", allow={ANYONE: ANY}, refuses=[NotFound])
    async def doctor(self, caller: Caller, doctor_id: UUID) -> Doctor:
        """One doctor."""

    @put("/doctors/{doctor_id}", allow={ADMIN: ANY}, refuses=[NotFound, NoSuchDepartment])
    async def replace_doctor(self, caller: Caller, doctor_id: UUID, body: DoctorForm, if_match: int) -> Doctor:
        """Replace what is known of a doctor."""

    @patch("/doctors/{doctor_id}", allow={ADMIN: ANY}, refuses=[NotFound, NoSuchDepartment])
    async def amend_doctor(self, caller: Caller, doctor_id: UUID, body: AmendDoctor, if_match: int) -> Doctor:
        """Change some of it."""

    @delete("/doctors/{doctor_id}", allow={ADMIN: ANY}, refuses=[NotFound])
    async def retire_doctor(self, caller: Caller, doctor_id: UUID, if_match: int) -> Doctor:
        """A doctor leaves: no more slots. Visits already booked stay until somebody moves them."""

    @get("/doctors/{doctor_id}/hours", allow={ANYONE: ANY}, refuses=[NotFound])
    async def hours(self, caller: Caller, doctor_id: UUID) -> Hours:
        """The working week. A doctor without hours has an empty one, at version 0."""

    @put("/doctors/{doctor_id}/hours", allow={ADMIN: ANY, DOCTOR: TREATING}, refuses=[NotFound, OpeningsOverlap])
    async def set_hours(self, caller: Caller, doctor_id: UUID, body: HoursForm, if_match: int) -> Hours:
        """Set the working week. Visits already booked stay."""

    @get("/doctors/{doctor_id}/leave", allow={ADMIN: ANY, RECEPTION: ANY, NURSE: ANY, DOCTOR: TREATING},
         refuses=[NotFound])
    async def leaves(self, caller: Caller, doctor_id: UUID, from_: Instant | None = None,
                     to: Instant | None = None) -> list[Leave]:
        """Leave that touches this time; by default all that has not ended."""

    @post("/doctors/{doctor_id}/leave", status=201, allow={ADMIN: ANY, RECEPTION: ANY, DOCTOR: TREATING},
          refuses=[NotFound, LeaveBackwards, LeaveOverlaps])
    async def take_leave(self, caller: Caller, doctor_id: UUID, body: LeaveForm) -> Leave:
        """No slots in this time. Visits already booked stay until somebody moves them."""

    @delete("/doctors/{doctor_id}/leave/{leave_id}", allow={ADMIN: ANY, RECEPTION: ANY, DOCTOR: TREATING},
            refuses=[NotFound])
    async def end_leave(self, caller: Caller, doctor_id: UUID, leave_id: UUID) -> Done:
        """Take leave back."""

    @get("/staff", allow={ADMIN: ANY})
    async def members(self, caller: Caller, q: SearchText = "", occupation: Occupation | None = None,
                      department_id: UUID | None = None, limit: Limit = 25,
                      cursor: Cursor | None = None) -> Page[StaffMember]:
        """Staff other than doctors, by family name."""

    @post("/staff", status=201, allow={ADMIN: ANY}, refuses=[NoSuchDepartment])
    async def engage(self, caller: Caller, body: StaffForm) -> StaffMember:
        """Somebody joins."""

    @get("/staff/{staff_id}", allow={ADMIN: ANY}, refuses=[NotFound])
    async def member(self, caller: Caller, staff_id: UUID) -> StaffMember:
        """One member of staff."""

    @put("/staff/{staff_id}", allow={ADMIN: ANY}, refuses=[NotFound, NoSuchDepartment])
    async def replace_member(self, caller: Caller, staff_id: UUID, body: StaffForm, if_match: int) -> StaffMember:
        """Replace what is known of them."""

    @delete("/staff/{staff_id}", allow={ADMIN: ANY}, refuses=[NotFound])
    async def retire_member(self, caller: Caller, staff_id: UUID, if_match: int) -> StaffMember:
        """Somebody leaves."""
