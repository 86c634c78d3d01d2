"""Where people are kept, and how they are found."""
from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID

from msgspec import Struct
from sqlalchemy import (
    Column,
    ColumnElement,
    Date,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
    bindparam,
    delete,
    func,
    intersect,
    or_,
    select,
    update,
)

from infirmary.contexts.patients.contract import Gender, Patient
from infirmary.contexts.patients.domain import alike, finding
from infirmary.kernel.database.columns import EnumText, Id, UtcDateTime
from infirmary.kernel.database.db import Reading, Transaction, with_kernel_tables
from infirmary.kernel.database.rows import Pages, Rows
from infirmary.kernel.database.statement import Query, Statement

MIGRATIONS = Path(__file__).parents[1] / "migrations"
FIRST_NUMBER = 100_001
FIRST_NUMBER_TAKEN = ("counter", "patient_number")   # where the hospital's very first patients, entered at once, clash
CANDIDATES = 200   # for the same person
# Patients who have such a word: so few that they may be sorted at each question; so many that those of two words are not
# put beside each other any more.
FEW, MANY = 1000, 30_000
_LAST = "\U0010ffff"    # sorts after every letter
_HOSPITAL_NUMBER = "hospital number"


def _exact(length: int) -> String:
    """Compared by code point on every engine, so that a range of words is a prefix."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


metadata = with_kernel_tables(MetaData())

patient = Table(
    "patient", metadata,
    Column("id", Id, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("given_name", String(100), nullable=False),
    Column("family_name", String(100), nullable=False),
    Column("birth_date", Date, nullable=False),
    Column("gender", EnumText(Gender), nullable=False),
    Column("phone", String(25)),
    Column("email", String(254)),
    Column("address", String(200), nullable=False),
    Column("language", String(35), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("retired_at", UtcDateTime),
    Column("version", Integer, nullable=False),
    Column("merged_into", Id),
    Column("family_key", _exact(finding.LONGEST_KEY), nullable=False),
    Column("given_key", _exact(finding.LONGEST_KEY), nullable=False),
    Column("search", Text, nullable=False),   # the words below, each between spaces
    UniqueConstraint("number"),
    Index("patient_by_merged_into", "merged_into"),
    Index("patient_by_name", "family_key", "given_key", "id"))

patient_word = Table(
    "patient_word", metadata,
    Column("word", _exact(finding.LONGEST_WORD), primary_key=True),
    Column("patient_id", Id, primary_key=True),
    sqlite_with_rowid=False)

# One row per visit, and one for every further doctor of it: they reach the patient until then, or no longer (NULL). A
# visit that was called off keeps its row, so that an older fact which arrives late is seen to be older.
care_relation = Table(
    "care_relation", metadata,
    Column("appointment_id", Id, primary_key=True),
    Column("doctor_id", Id, nullable=False),
    Column("patient_id", Id, nullable=False),
    Column("until", UtcDateTime),
    Column("version", Integer, nullable=False),
    Index("care_relation_by_doctor", "doctor_id", "patient_id", "until"),
    Index("care_relation_by_patient", "patient_id"))

counter = Table(
    "counter", metadata,
    Column("name", String(40), primary_key=True),
    Column("value", Integer, nullable=False))


class Stored(Struct, frozen=True):
    id: UUID
    number: int
    given_name: str
    family_name: str
    birth_date: date
    gender: Gender
    phone: str | None
    email: str | None
    address: str
    language: str
    created_at: datetime
    retired_at: datetime | None
    version: int
    merged_into: UUID | None
    family_key: str
    given_key: str
    search: str

    @property
    def shown(self) -> Patient:
        return Patient(**{name: getattr(self, name) for name in _KEPT})


_KEPT = [name for name in Patient.__struct_fields__ if name in Stored.__struct_fields__]


class Word(Struct, frozen=True):
    word: str
    patient_id: UUID


class CareRelation(Struct, frozen=True):
    appointment_id: UUID
    doctor_id: UUID
    patient_id: UUID
    until: datetime | None
    version: int


class Counter(Struct, frozen=True):
    name: str
    value: int


PATIENTS = Rows(patient, Stored)
WORDS = Rows(patient_word, Word, key="word", version=None)
RELATIONS = Rows(care_relation, CareRelation, key="appointment_id")
COUNTERS = Rows(counter, Counter, key="name", version=None)



def of_record(whose: Column[UUID], name: str = "patient_id") -> ColumnElement[bool]:
    """The record that is asked for under this name, and those merged into it."""
    asked = bindparam(name, type_=Id)
    return whose.in_(select(patient.c.id).where(or_(patient.c.id == asked, patient.c.merged_into == asked)))


# Whatever hangs on a record changes one after the other. SQLite leaves FOR UPDATE out: who writes there is alone.
_held = Query(select(patient).where(patient.c.id == bindparam("key")).with_for_update(), Stored)

_count_up = Statement(update(counter).where(counter.c.name == _HOSPITAL_NUMBER).values(value=counter.c.value + 1))
_counted = Query(select(counter.c.value).where(counter.c.name == _HOSPITAL_NUMBER), int)
_forget_words = Statement(delete(patient_word).where(
    patient_word.c.word.in_(bindparam("words", expanding=True)),
    patient_word.c.patient_id == bindparam("patient_id", type_=Id)))


async def next_number(tx: Transaction) -> int:
    """Whoever asks holds the counter until the commit: to be asked last. The first of all makes it."""
    if await tx.run(_count_up) == 0:
        COUNTERS.add(tx, Counter(_HOSPITAL_NUMBER, FIRST_NUMBER))
        return FIRST_NUMBER
    number = await tx.one(_counted)
    assert number is not None
    return number


async def get(tx: Reading, patient_id: UUID) -> Patient | None:
    stored = await PATIENTS.get(tx, patient_id)
    return None if stored is None else stored.shown


async def held(tx: Transaction, patient_id: UUID) -> Patient | None:
    """The record, for us alone until the commit."""
    stored = await tx.one(_held, key=patient_id)
    return None if stored is None else stored.shown


def add(tx: Transaction, entered: Patient) -> None:
    PATIENTS.add(tx, stored(entered))
    WORDS.add(tx, *(Word(word, entered.id) for word in sorted(finding.found_by(entered))))


async def save(tx: Transaction, before: Patient, after: Patient) -> Patient:
    """Compare-and-set. The words are those of the patient, and none once the record is closed. A merged one keeps them:
    what it says leads to the other."""
    saved = await PATIENTS.save(tx, stored(after))
    old = set() if before.retired_at else {*finding.found_by(before)}
    new = set() if after.retired_at else {*finding.found_by(after)}
    if gone := sorted(old - new):
        await tx.run(_forget_words, words=gone, patient_id=after.id)
    if come := sorted(new - old):
        WORDS.add(tx, *(Word(word, after.id) for word in come))
    return saved.shown


def stored(one: Patient) -> Stored:
    """As it is kept: with what it is found by and ordered by."""
    return Stored(**{name: getattr(one, name) for name in _KEPT}, family_key=finding.sort_key(one.family_name),
                  given_key=finding.sort_key(one.given_name), search=f" {' '.join(finding.found_by(one))} ")


# Care relations

_treats = Query(select(care_relation.c.appointment_id).where(
    care_relation.c.doctor_id == bindparam("doctor_id"), care_relation.c.patient_id == bindparam("patient_id"),
    care_relation.c.until > bindparam("now")).limit(1), UUID)


async def treats(reading: Reading, doctor_id: UUID, patient_id: UUID, now: datetime) -> bool:
    return await reading.one(_treats, doctor_id=doctor_id, patient_id=patient_id, now=now) is not None


# Searching

def _between(at: str) -> ColumnElement[bool]:
    """A range and not LIKE: a prepared LIKE knows nothing of its pattern, and could not use the index."""
    return and_(patient_word.c.word >= bindparam(f"from_{at}"), patient_word.c.word < bindparam(f"until_{at}"))


def _range(at: str, begins: str) -> dict[str, str]:
    return {f"from_{at}": begins, f"until_{at}": begins + _LAST}


_hits = Query(select(func.count()).select_from(
    select(patient_word.c.patient_id).where(_between("")).limit(bindparam("most", type_=Integer)).subquery()), int)


class Hit(Stored, frozen=True):
    """A patient, and the word that was found."""

    word: str
    patient_id: UUID


class Way(Struct, frozen=True):
    """The words of which fragments lead to the patients (none: their names do); what else was typed is looked for in
    those. Either all of them are found and sorted by name, or we go `along` the words until a page is full."""

    leading: tuple[int, ...] = ()
    along: bool = False


async def find(reading: Reading, fragments: Sequence[finding.Fragment], *, doctor_id: UUID | None, now: datetime,
               after: str | None, limit: int) -> tuple[list[Stored], str | None]:
    """By name where they are few, else in the order of the words. So a search costs what it shows: twenty-five of a
    million patients are found nearly as soon as of ten thousand."""
    treated: dict[str, Any] = {} if doctor_id is None else {"doctor_id": doctor_id, "now": now}
    lead, _, last = ("", "", None) if after is None else after.rpartition(".")
    if lead in {str(at) for at, fragment in enumerate(fragments) if fragment.one_sense}:
        way = Way((int(lead),), along=True)
    else:
        way = await _way(reading, fragments, treated=doctor_id is not None)
        if last is not None and way.along:   # more have come since the page before, which was by name
            way = Way()
    params = treated
    for at, fragment in enumerate(fragments):
        if at in way.leading:
            for nth, begins in enumerate(fragment.begins):
                params |= _range(f"{at}_{nth}", begins)
        else:
            params |= {f"like_{at}_{nth}": pattern for nth, pattern in enumerate(_patterns(fragment))}
    pages = _pages(tuple(len(fragment.begins) for fragment in fragments), way, treated=doctor_id is not None)
    found, further = await pages.page(reading, after=last, limit=limit, **params)
    if way.along:
        begins = fragments[way.leading[0]].begins[0]
        found = [hit for hit in found if isinstance(hit, Hit) and hit.word == _first(hit, begins)]
    return found, further and f"{way.leading[0] if way.along else ''}.{further}"


def _first(hit: Hit, begins: str) -> str:
    """Who has several such words was shown with the first."""
    return min(word for word in hit.search.split() if word.startswith(begins))


async def _way(reading: Reading, fragments: Sequence[finding.Fragment], *, treated: bool) -> Way:
    hits: dict[int, int] = {}
    begun = [at for at, fragment in enumerate(fragments) if fragment.begins]
    most = FEW if len(begun) == 1 and fragments[begun[0]].one_sense else MANY   # there it matters how many
    for at in sorted(begun, key=lambda at: -max(map(len, fragments[at].begins))):
        hits[at] = sum([await reading.one(_hits, most=most, **_range("", begins)) or 0 for begins in fragments[at].begins])
        if hits[at] < FEW:
            return Way((at,))
    rarest = sorted(hits, key=lambda at: hits[at])
    if treated or not rarest:   # a doctor's patients are few as well
        return Way()
    if len(rarest) > 1 and hits[rarest[1]] < MANY:
        return Way((rarest[0], rarest[1]))
    if one := [at for at in rarest if fragments[at].one_sense]:
        return Way((one[0],), along=True)
    return Way((rarest[0],) if hits[rarest[0]] < MANY else ())


@lru_cache(maxsize=200)
def _pages(widths: tuple[int, ...], way: Way, *, treated: bool) -> Pages[Any]:
    """The statement for so many fragments with so many senses each (none: inside of words), declared when needed."""
    fits: list[ColumnElement[bool]] = [patient.c.retired_at.is_(None)]
    for at, width in enumerate(widths):
        if at not in way.leading:
            fits.append(or_(*(patient.c.search.like(bindparam(f"like_{at}_{nth}"), escape="!")
                              for nth in range(width or 1))))
    if treated:
        fits.append(func.coalesce(patient.c.merged_into, patient.c.id).in_(select(care_relation.c.patient_id).where(
            care_relation.c.doctor_id == bindparam("doctor_id"), care_relation.c.until > bindparam("now"))))
    if way.along:
        hits = select(patient, patient_word.c.word, patient_word.c.patient_id).join_from(
            patient_word, patient, patient_word.c.patient_id == patient.c.id)
        # It would begin with all patients, and sort them.
        hits = hits.prefix_with("STRAIGHT_JOIN", dialect="mysql")
        return Pages(hits.where(_between(f"{way.leading[0]}_0"), *fits), Hit, [patient_word.c.word, patient_word.c.patient_id])
    having = [select(patient_word.c.patient_id).where(or_(*(_between(f"{at}_{nth}") for nth in range(widths[at]))))
              for at in way.leading]
    if having:
        fits.append(patient.c.id.in_(intersect(*having) if len(having) > 1 else having[0]))
    core, keys = select(patient).where(*fits), [patient.c.family_key, patient.c.given_key]
    if having or treated or 0 in widths:
        # What is few is found first and then sorted. A planner that knows nothing of the patterns would walk all names
        # instead, for the order's sake; these keys have no index to walk.
        unwalkable: Any = [key.concat("").label(key.name) for key in keys]
        return Pages(core, Stored, [*unwalkable, patient.c.id])
    core = core.with_hint(patient, "FORCE INDEX (patient_by_name)", "mysql")   # it would sort them all, and then cut
    return Pages(core, Stored, [*keys, patient.c.id])


def _patterns(fragment: finding.Fragment) -> list[str]:
    if fragment.begins:
        return [f"% {_literal(begins)}%" for begins in fragment.begins]
    return [f"%{'%'.join(map(_literal, fragment.inside))}% -%"]   # before the phone number backwards


def _literal(typed: str) -> str:
    """People may type % and _, and mean them."""
    return typed.replace("!", "!!").replace("%", "!%").replace("_", "!_")


# Who may be the same person

_some = select(patient).where(patient.c.merged_into.is_(None)).limit(CANDIDATES)   # who is closed has no words
_by_contact = Query(_some.where(patient.c.id.in_(select(patient_word.c.patient_id).where(
    or_(_between("phone"), patient_word.c.word == bindparam("email"))))), Stored)
_by_birth = Query(_some.where(patient.c.id.in_(select(patient_word.c.patient_id).where(
    patient_word.c.word.in_(bindparam("births", expanding=True))))), Stored)
_by_birth_and_name = Query(_some.where(*(patient.c.id.in_(select(patient_word.c.patient_id).where(
    patient_word.c.word.in_(bindparam(name, expanding=True)))) for name in ("births", "names"))), Stored)


async def candidates(reading: Reading, asked: alike.Asked) -> list[Patient]:
    """Whoever is worth a look is alike in one of these: a phone number or e-mail; the birth date; a birth date with a
    slip, and a word of the name."""
    found: list[Stored] = []
    if asked.phone_word or asked.email_word:
        phone = _range("phone", asked.phone_word) if asked.phone_word else {"from_phone": "", "until_phone": ""}
        found += await reading.all(_by_contact, email=asked.email_word, **phone)
    if asked.birth_words and (asked.name_words or asked.phone_word or asked.email_word):
        found += await reading.all(_by_birth, births=asked.birth_words)
    if asked.near_birth_words and asked.name_words:
        found += await reading.all(_by_birth_and_name, births=asked.near_birth_words, names=asked.name_words)
    return [one.shown for one in {one.id: one for one in found}.values()]
