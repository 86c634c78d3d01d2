"""Where imports of people are kept."""
from __future__ import annotations

from functools import cache
from uuid import UUID

from msgspec import Struct
from sqlalchemy import (
    Boolean,
    Column,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    bindparam,
    func,
    null,
    or_,
    select,
    union_all,
    update,
)

from infirmary.contexts.patients.contract.imports import Column as HeadColumn
from infirmary.contexts.patients.contract.imports import ImportStatus, Kept, Likeness, RowStatus
from infirmary.contexts.patients.domain.imports import AT_WORK, Import, Row
from infirmary.kernel.database.columns import EnumText, Id, Json, UtcDateTime
from infirmary.kernel.database.rows import Pages, Rows
from infirmary.kernel.database.statement import Query, Statement
from infirmary.kernel.errors import FieldError

from .around import consent, contact, coverage
from .guardians import guardianship
from .people import care_relation, metadata

patient_import = Table(
    "patient_import", metadata,
    Column("id", Id, primary_key=True),
    Column("status", EnumText(ImportStatus), nullable=False),
    Column("columns", Json(list[HeadColumn]), nullable=False),
    Column("row_count", Integer, nullable=False),
    Column("digest", String(64)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("by_account", Id, nullable=False),
    Column("by_name", String(255), nullable=False),
    Column("by_roles", Json, nullable=False),
    Column("forgotten_at", UtcDateTime),
    Column("version", Integer, nullable=False),
    UniqueConstraint("digest"),   # of the content and its uploader: of two uploads at once, one is
    Index("patient_import_by_status", "status"))

import_row = Table(
    "import_row", metadata,
    Column("id", Id, primary_key=True),
    Column("import_id", Id, nullable=False),
    Column("line", Integer, nullable=False),
    Column("said", Json),
    Column("status", EnumText(RowStatus), nullable=False),
    Column("chosen", Boolean, nullable=False),
    Column("errors", Json(list[FieldError]), nullable=False),
    Column("alike", Json(list[Likeness]), nullable=False),
    Column("person_key", String(64)),
    Column("same_as_line", Integer),
    Column("patient_id", Id),
    Column("kept", EnumText(Kept)),
    Column("version", Integer, nullable=False),
    UniqueConstraint("import_id", "line"),
    UniqueConstraint("patient_id"),
    Index("import_row_by_status", "import_id", "status", "line"),
    Index("import_row_by_person", "import_id", "person_key", "line"))

IMPORTS = Rows(patient_import, Import)
ROWS = Rows(import_row, Row)
_of = import_row.c.import_id == bindparam("import_id", type_=Id)
_key = bindparam("key", type_=Id)

# Each step of the work holds the import first: of any number who go on with it, each takes the next row, and whoever stops
# it knows that nobody has one in hand.
HELD = Query(select(patient_import).where(patient_import.c.id == _key).with_for_update(), Import)
DONE_BEFORE = IMPORTS.find(patient_import.c.digest == bindparam("digest"))
ALL_AT_WORK = IMPORTS.find(patient_import.c.status.in_(AT_WORK), order_by=[patient_import.c.id])
PAGES = Pages(select(patient_import), Import, [patient_import.c.created_at, patient_import.c.id], newest_first=True)
TO_FORGET = IMPORTS.find(patient_import.c.forgotten_at.is_(None), patient_import.c.status.not_in(AT_WORK),
                         patient_import.c.changed_at < bindparam("before"), order_by=[patient_import.c.id])

ROW = ROWS.find(_of, import_row.c.line == bindparam("line"))
NEXT = Query(select(import_row).where(_of, import_row.c.status == bindparam("status"))
             .order_by(import_row.c.line).limit(bindparam("limit", type_=Integer)), Row)
MADE = ROWS.find(import_row.c.patient_id == bindparam("patient_id", type_=Id))
SAME_PERSON = Query(select(import_row.c.line).where(
    _of, import_row.c.person_key == bindparam("person_key"), import_row.c.line < bindparam("line"))
    .order_by(import_row.c.line).limit(1), int)
_whose = bindparam("patient_id", type_=Id)
VISITED = Query(select(care_relation.c.appointment_id).where(care_relation.c.patient_id == _whose).limit(1), UUID)
ATTACHED = Query(union_all(
    *(select(each.c.patient_id).where(each.c.patient_id == _whose) for each in (contact, coverage, consent)),
    select(guardianship.c.id).where(or_(guardianship.c.ward_id == _whose, guardianship.c.guardian_id == _whose)),
).limit(1), UUID)
FORGET = Statement(update(import_row).where(_of).values(said=null(), person_key=None, alike=[]))


class Count(Struct, frozen=True):
    import_id: UUID
    status: RowStatus
    number: int


COUNTS = Query(select(import_row.c.import_id, import_row.c.status, func.count().label("number"))
               .where(import_row.c.import_id.in_(bindparam("ids", expanding=True)))
               .group_by(import_row.c.import_id, import_row.c.status), Count)


@cache
def row_pages(filters: frozenset[str]) -> Pages[Row]:
    return Pages(select(import_row).where(_of, *(import_row.c[name] == bindparam(name) for name in sorted(filters))), Row,
                 [import_row.c.line])
