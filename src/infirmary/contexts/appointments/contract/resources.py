"""What may be asked about rooms and equipment, and about who and what takes part in a visit."""
from __future__ import annotations

from datetime import date
from enum import StrEnum
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from infirmary.kernel.access import ANY, Caller
from infirmary.kernel.contract import Contract, Cursor, Instant, Limit, Page, get, patch, post, put
from infirmary.kernel.errors import Conflict, NotFound, Refusal
from infirmary.language import ADMIN, DOCTOR, Name

from .participants import ParticipantIds, ParticipantKind
from .visits import (
    DESK,
    ON_THE_DAY,
    STEPS,
    Appointment,
    DeskAsksColleagues,
    ParticipantNotAvailable,
    Status,
    TimeIsTaken,
)


class ResourceKind(StrEnum):
    ROOM = "room"
    EQUIPMENT = "equipment"


class ResourceForm(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`name` is the only one of its kind. Without `department_id` it is there for the whole hospital."""

    kind: ResourceKind
    name: Name
    department_id: UUID | None = None


class AmendResource(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`active` false retires it: no new visit gets it, and those that have it keep it. True brings it back."""

    name: Name | UnsetType = UNSET
    department_id: UUID | UnsetType | None = UNSET
    active: bool | UnsetType = UNSET


class Resource(Struct, frozen=True, kw_only=True):
    """What visits take besides people, one at a time (FHIR: Location or Device as Schedule.actor)."""

    id: UUID
    kind: ResourceKind
    name: str
    department_id: UUID | None
    active: bool
    version: int


class ResourceVisit(Struct, frozen=True):
    """Who has a room or a device, and when; never why."""

    id: UUID
    patient_name: str
    doctor_id: UUID
    doctor_name: str
    starts_at: Instant
    ends_at: Instant
    status: Status


class Candidate(Struct, frozen=True, kw_only=True):
    """Who or what could take part in a visit, and whether they are free then."""

    id: UUID
    kind: ParticipantKind
    name: str
    department_id: UUID | None
    free: bool


class SetParticipants(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that take part from now on: further doctors, rooms and equipment."""

    participants: ParticipantIds


class ResourceNameTaken(Conflict):
    """There is one of this kind with this name already, perhaps a retired one. Choose another name, or bring that one back."""


class DepartmentSeesNobody(Refusal):
    """No doctor of this department takes visits. Choose another, or leave it for the whole hospital."""


class ResourceContract(Contract):
    @get("/resources", allow={**DESK, DOCTOR: ANY})
    async def resources(self, caller: Caller, kind: ResourceKind | None = None, department_id: UUID | None = None,
                        active: bool | None = None, limit: Limit = 100, cursor: Cursor | None = None) -> Page[Resource]:
        """Rooms and equipment, by kind and name."""

    @post("/resources", status=201, allow={ADMIN: ANY}, refuses=[ResourceNameTaken, DepartmentSeesNobody])
    async def add_resource(self, caller: Caller, body: ResourceForm) -> Resource:
        """A room or a device that visits can take from now on."""

    @get("/resources/{resource_id}", allow={**DESK, DOCTOR: ANY}, refuses=[NotFound])
    async def resource(self, caller: Caller, resource_id: UUID) -> Resource:
        """One room or device."""

    @patch("/resources/{resource_id}", allow={ADMIN: ANY}, refuses=[NotFound, ResourceNameTaken, DepartmentSeesNobody])
    async def amend_resource(self, caller: Caller, resource_id: UUID, body: AmendResource, if_match: int) -> Resource:
        """Rename it, give it to a department, retire it or bring it back. Visits ahead show the new name."""

    @get("/resources/{resource_id}/visits", allow=DESK, refuses=[NotFound])
    async def resource_day(self, caller: Caller, resource_id: UUID, day: date) -> list[ResourceVisit]:
        """Who has it on this day of the hospital's zone, by the start; what was called off is not there."""

    @get("/participants", allow={**DESK, DOCTOR: ANY})
    async def candidates(self, caller: Caller, from_: Instant, to: Instant) -> list[Candidate]:
        """Doctors, rooms and equipment, and whether each is free for a visit of this time: at most eight hours."""

    @put("/appointments/{appointment_id}/participants", allow=ON_THE_DAY,
         refuses=[*STEPS, TimeIsTaken, ParticipantNotAvailable, DeskAsksColleagues])
    async def set_participants(self, caller: Caller, appointment_id: UUID, body: SetParticipants,
                               if_match: int) -> Appointment:
        """Who and what takes part from now on, at the time that the visit has: all of them are taken, or nothing changes.

        Doctors choose rooms and equipment for their own visits; the desk asks colleagues, too.
        """
