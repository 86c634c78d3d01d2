"""Who and what takes part in a visit besides its patient and its doctor."""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from msgspec import UNSET, Struct
from msgspec.structs import replace

from infirmary.contexts.appointments.contract import Obstacle, ObstacleCode, Participant, ParticipantKind
from infirmary.contexts.appointments.contract.resources import (
    AmendResource,
    Candidate,
    Resource,
    ResourceForm,
    ResourceKind,
)
from infirmary.language import folded

from . import hours
from .hours import Schedule
from .obstacles import away, obstacle

SOMEBODY = "Somebody or something that was asked for"
LONGEST_SOUGHT = 400   # letters; a single one may unfold into eighteen


def _sought(name: str) -> str:
    return folded(name)[:LONGEST_SOUGHT]


class KeptResource(Struct, frozen=True):
    """A Resource as it is kept; `sought` is the name as it is compared."""

    id: UUID
    kind: ResourceKind
    name: str
    sought: str
    department_id: UUID | None
    active: bool
    version: int

    @property
    def participant(self) -> Participant:
        return Participant(self.id, ParticipantKind(self.kind.value), self.name)


class Company(Struct, frozen=True):
    """Whom and what a visit is to have with it, as they are known now; `unknown` are nobody."""

    doctors: Sequence[Schedule] = ()
    things: Sequence[KeptResource] = ()
    unknown: Sequence[UUID] = ()

    @property
    def participants(self) -> tuple[Participant, ...]:
        return (*(Participant(one.doctor_id, ParticipantKind.DOCTOR, one.doctor_name) for one in self.doctors),
                *(one.participant for one in self.things))

    @property
    def ids(self) -> list[UUID]:
        return [one.id for one in self.participants]

    def without(self, others: Iterable[Participant]) -> Company:
        known = {one.id for one in others}
        return Company([one for one in self.doctors if one.doctor_id not in known],
                       [one for one in self.things if one.id not in known], self.unknown)


ALONE = Company()


def added(form: ResourceForm, resource_id: UUID) -> KeptResource:
    name = form.name.strip()
    return KeptResource(resource_id, form.kind, name, _sought(name), form.department_id, active=True, version=1)


def amended(kept: KeptResource, body: AmendResource) -> KeptResource:
    name = kept.name if body.name is UNSET else body.name.strip()
    return replace(kept, name=name, sought=_sought(name), active=kept.active if body.active is UNSET else body.active,
                   department_id=kept.department_id if body.department_id is UNSET else body.department_id)


def shown(kept: KeptResource) -> Resource:
    return Resource(id=kept.id, kind=kept.kind, name=kept.name, department_id=kept.department_id, active=kept.active,
                    version=kept.version)


def in_the_way(company: Company, doctor_id: UUID, begins: datetime, ends: datetime, zone: ZoneInfo, *, by_staff: bool,
               ) -> list[Obstacle]:
    """By what is known of them; whether somebody has their time is not known here. Further doctors have hours and leave as
    the doctor of a visit has, but no slots."""
    found = [obstacle(ObstacleCode.PARTICIPANT_GONE, name=SOMEBODY, participant_id=one) for one in company.unknown]
    found += [obstacle(ObstacleCode.PARTICIPANT_GONE, name=one.name, participant_id=one.id)
              for one in company.things if not one.active]
    for one in company.doctors:
        who: dict[str, Any] = {"name": one.doctor_name, "participant_id": one.doctor_id}
        if one.doctor_id == doctor_id:
            found.append(obstacle(ObstacleCode.ON_VISIT_ALREADY, **who))
        elif not one.active:
            found.append(obstacle(ObstacleCode.PARTICIPANT_GONE, **who))
        else:
            found += away(one, begins, ends, zone, by_staff=by_staff, **who)
    return found


def are_free(company: Company, busy: Mapping[UUID, AbstractSet[int]], begins: datetime, ends: datetime, zone: ZoneInfo,
             ) -> bool:
    """All of them at this time; `busy` knows every one. The break after a visit is not theirs."""
    wanted = hours.grains(begins, ends)
    return (all(busy[one].isdisjoint(wanted) for one in company.ids)
            and not any(away(one, begins, ends, zone) for one in company.doctors))


def candidates(company: Company, busy: Mapping[UUID, AbstractSet[int]], begins: datetime, ends: datetime, zone: ZoneInfo,
               ) -> list[Candidate]:
    alone = [*((one.department_id, Company([one])) for one in company.doctors),
             *((one.department_id, Company(things=[one])) for one in company.things)]
    return [Candidate(id=one.id, kind=one.kind, name=one.name, department_id=department_id,
                      free=are_free(each, busy, begins, ends, zone))
            for department_id, each in alone for one in each.participants]
