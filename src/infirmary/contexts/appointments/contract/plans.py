"""What may be asked about visits that stand in a doctor's leave, and about moving them together."""
from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from msgspec import Struct

from infirmary.kernel.access import ANY, Caller
from infirmary.kernel.contract import Contract, Cursor, Instant, Limit, Page, get, post, put
from infirmary.kernel.errors import Conflict, NotFound, Refusal
from infirmary.language import ADMIN, DOCTOR, RECEPTION, TREATING

from .visits import Appointment, DoctorNotAvailable, SlotNotOffered, Status, TimeIsPast, TimeIsTaken


class Whither(StrEnum):
    """To other times of the same doctor, or to colleagues of the same specialty or department."""

    SAME_DOCTOR = "same_doctor"
    SAME_SPECIALTY = "same_specialty"
    SAME_DEPARTMENT = "same_department"


class PlanStatus(StrEnum):
    """draft -> applying -> applied -> undoing -> undone; what was left may be planned anew and applied again."""

    DRAFT = "draft"
    APPLYING = "applying"
    APPLIED = "applied"
    UNDOING = "undoing"
    UNDONE = "undone"


class ItemStatus(StrEnum):
    """proposed -> moved -> moved_back; `standing` visits stay where they are, and `why` says why."""

    PROPOSED = "proposed"
    STANDING = "standing"
    MOVED = "moved"
    MOVED_BACK = "moved_back"


class Unmoved(StrEnum):
    """Why a visit stays where it is."""

    NOTHING_FREE = "nothing_free"
    LEFT_OUT = "left_out"
    TIME_TAKEN = "time_taken"
    TIME_PAST = "time_past"
    NOT_OFFERED = "not_offered"
    CHANGED_SINCE = "changed_since"
    DOCTOR_LEFT = "doctor_left"


class MakePlan(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """For all visits of the doctor that touch this time, at most a year long."""

    doctor_id: UUID
    starts_at: Instant
    ends_at: Instant
    whither: Whither = Whither.SAME_DOCTOR


class Target(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where one visit is to go; without a time it stays. Without a doctor: the one it is with."""

    starts_at: Instant | None = None
    doctor_id: UUID | None = None


class FreeTime(Struct, frozen=True, kw_only=True):
    doctor_id: UUID
    doctor_name: str
    starts_at: Instant
    ends_at: Instant


class MoveItem(Struct, frozen=True, kw_only=True):
    """One visit of a plan: from where, and where it goes (`to` is None while nothing is proposed)."""

    appointment_id: UUID
    patient_id: UUID
    patient_name: str
    visit_status: Status
    starts_at: Instant
    ends_at: Instant
    to: FreeTime | None
    status: ItemStatus
    why: Unmoved | None


class MovePlan(Struct, frozen=True, kw_only=True):
    """`left_over`: visits in this time beyond those that one plan takes; plan them next. `done` of `items` have been
    dealt with since it was last applied or undone."""

    id: UUID
    doctor_id: UUID
    doctor_name: str
    starts_at: Instant
    ends_at: Instant
    whither: Whither
    status: PlanStatus
    left_over: int
    items: list[MoveItem]
    created_at: Instant
    by: str
    version: int


class PlanLine(Struct, frozen=True, kw_only=True):
    """A plan without its visits."""

    id: UUID
    doctor_id: UUID
    doctor_name: str
    starts_at: Instant
    ends_at: Instant
    status: PlanStatus
    created_at: Instant
    by: str


class UnderLeave(Struct, frozen=True, kw_only=True):
    """A time of leave and the visits that stand in it: the first hundreds, and how many there are. `accompanied`: visits of
    colleagues in which the doctor was to take part. They stay at their time, and want somebody else."""

    doctor_id: UUID
    doctor_name: str
    starts_at: Instant
    ends_at: Instant
    visits: list[Appointment]
    count: int
    accompanied: tuple[Appointment, ...] = ()


class NothingToMove(Refusal):
    """No visit of this doctor stands in this time. There is nothing to plan."""


class NotYourDiary(Refusal):
    """Doctors plan within their own diary. Choose your own times, or ask the front desk to move visits to colleagues."""


class PlanAtWork(Conflict):
    """The plan is being carried out just now. Look again when it is done."""


class PlanIsOver(Conflict):
    """This plan is undone. Make another for the visits that are to be moved."""


PLANNERS = {RECEPTION: ANY, ADMIN: ANY, DOCTOR: TREATING}
PLANNED = [NotFound, PlanAtWork, PlanIsOver]


class MovePlans(Contract):
    @get("/appointments/under-leave", allow=PLANNERS, refuses=[NotFound])
    async def under_leave(self, caller: Caller, doctor_id: UUID | None = None, from_: Instant | None = None,
                          to: Instant | None = None) -> list[UnderLeave]:
        """What stands in leave, by doctor; also what was booked in the very moment the leave was marked.

        With `from` and `to` (and a doctor): those that would stand in such leave, before it is marked.
        """

    @post("/move-plans", status=201, allow=PLANNERS, refuses=[NotFound, NothingToMove, NotYourDiary])
    async def make_plan(self, caller: Caller, body: MakePlan) -> MovePlan:
        """Propose the nearest free time for every visit in this time, each its own. Nothing is moved yet."""

    @get("/move-plans", allow=PLANNERS, refuses=[NotFound])
    async def plans(self, caller: Caller, doctor_id: UUID | None = None, limit: Limit = 25,
                    cursor: Cursor | None = None) -> Page[PlanLine]:
        """Plans within reach, the newest first."""

    @get("/move-plans/{plan_id}", allow=PLANNERS, refuses=[NotFound])
    async def plan(self, caller: Caller, plan_id: UUID) -> MovePlan:
        """One plan, visit by visit, as it stands; while it is carried out, how far it is."""

    @get("/move-plans/{plan_id}/items/{appointment_id}/times", allow=PLANNERS, refuses=[NotFound])
    async def times_for(self, caller: Caller, plan_id: UUID, appointment_id: UUID) -> list[FreeTime]:
        """The free times nearest to this visit that the plan has given to no other, the nearest first."""

    @put("/move-plans/{plan_id}/items/{appointment_id}", allow=PLANNERS,
         refuses=[*PLANNED, TimeIsTaken, SlotNotOffered, TimeIsPast, DoctorNotAvailable])
    async def set_target(self, caller: Caller, plan_id: UUID, appointment_id: UUID, body: Target,
                         if_match: int) -> MovePlan:
        """Another time for one visit, or leave it where it is. Whether the time is free is decided when it is applied."""

    @post("/move-plans/{plan_id}/apply", allow=PLANNERS, refuses=PLANNED)
    async def apply_plan(self, caller: Caller, plan_id: UUID, if_match: int | None = None) -> MovePlan:
        """Move every visit as proposed, each on its own: what cannot be moved stays, and the plan says why.

        The work goes on by itself, whoever stops; applied twice it moves nothing twice. Patients are told.
        """

    @post("/move-plans/{plan_id}/undo", allow=PLANNERS, refuses=PLANNED)
    async def undo_plan(self, caller: Caller, plan_id: UUID, if_match: int | None = None) -> MovePlan:
        """Move everything back where its time is still free; the rest stays, and the plan says why."""
