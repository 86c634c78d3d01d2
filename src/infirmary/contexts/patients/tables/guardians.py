"""Where it is kept who stands for whom."""
from __future__ import annotations

from uuid import UUID

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Date,
    Index,
    Integer,
    Select,
    String,
    Table,
    and_,
    bindparam,
    func,
    or_,
    select,
)

from infirmary.contexts.patients.contract import GuardianKind
from infirmary.contexts.patients.domain.guardians import Known, Relation
from infirmary.kernel.database.columns import EnumText, Id, UtcDateTime
from infirmary.kernel.database.rows import Pages, Rows
from infirmary.kernel.database.statement import Query

from .people import metadata, of_record, patient

guardianship = Table(
    "guardianship", metadata,
    Column("id", Id, primary_key=True),
    Column("ward_id", Id, nullable=False),
    Column("guardian_id", Id, nullable=False),
    Column("kind", EnumText(GuardianKind), nullable=False),
    Column("valid_from", Date, nullable=False),
    Column("valid_until", Date),
    Column("of_child", Boolean, nullable=False),
    Column("reason", String(500), nullable=False),
    Column("document", String(200), nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    Column("made_by", String(255), nullable=False),
    Column("ended_at", UtcDateTime),
    Column("ended_by", String(255), nullable=False),
    Column("end_reason", String(500), nullable=False),
    Column("version", Integer, nullable=False),
    Index("guardianship_by_ward", "ward_id", "id"),
    Index("guardianship_by_guardian", "guardian_id", "id"))

RELATIONS = Rows(guardianship, Relation)

# Each stays on the record that it was made for, and is read through a merge: taken apart again, all is as before.
_wards_own, _guardians_own = patient.alias("wards_own"), patient.alias("guardians_own")
_ward, _guardian = patient.alias("ward"), patient.alias("guardian")


def _known(*where: ColumnElement[bool]) -> Select[tuple[object, ...]]:
    return (select(guardianship, _ward.c.id.label("ward_now"), _ward.c.given_name.label("ward_given"),
                   _ward.c.family_name.label("ward_family"), _ward.c.birth_date.label("ward_born"),
                   _guardian.c.id.label("guardian_now"), _guardian.c.given_name.label("guardian_given"),
                   _guardian.c.family_name.label("guardian_family"))
            .join(_wards_own, _wards_own.c.id == guardianship.c.ward_id)
            .join(_ward, _ward.c.id == func.coalesce(_wards_own.c.merged_into, _wards_own.c.id))
            .join(_guardians_own, _guardians_own.c.id == guardianship.c.guardian_id)
            .join(_guardian, _guardian.c.id == func.coalesce(_guardians_own.c.merged_into, _guardians_own.c.id))
            .where(*where))


_open = guardianship.c.ended_at.is_(None)
_today, _born = bindparam("today", type_=Date), bindparam("minors_birth", type_=Date)
_stands = and_(_open, guardianship.c.valid_from <= _today,
               or_(guardianship.c.valid_until.is_(None), guardianship.c.valid_until >= _today),
               or_(guardianship.c.of_child.is_(False), _ward.c.birth_date > _born), _guardian.c.retired_at.is_(None))
_over = or_(guardianship.c.valid_until < _today,
            and_(guardianship.c.of_child.is_(True), _ward.c.birth_date <= _born))
_of_ward, _of_guardian = of_record(guardianship.c.ward_id, "ward_id"), of_record(guardianship.c.guardian_id, "guardian_id")

ONE = Query(_known(guardianship.c.id == bindparam("key", type_=Id)), Known)
# A parent before a carer, should two relations stand side by side after a merge.
RIGHT = Query(_known(_of_ward, _of_guardian, _stands).order_by(guardianship.c.kind.desc()).limit(1), Known)
WARDS = Query(_known(_of_guardian, _stands).order_by(_ward.c.given_name, guardianship.c.id), Known)
GUARDIANS_NOW = Query(_known(_of_ward, _stands).order_by(_guardian.c.given_name, guardianship.c.id), Known)
GUARDIANS = Pages(_known(_of_ward), Known, [guardianship.c.id], newest_first=True)
EVER_OF_WARD = Query(_known(_of_ward).order_by(guardianship.c.id), Known)
BETWEEN = Query(_known(_of_ward, _of_guardian, _open), Known)
OPEN_OF_WARD = Query(select(guardianship.c.id).where(_of_ward, _open), UUID)
OPEN_OF_GUARDIAN = Query(select(guardianship.c.id).where(_of_guardian, _open), UUID)
OVER = Query(_known(_open, _over).limit(bindparam("limit", type_=Integer)), Known)
