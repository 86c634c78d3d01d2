"""Where it is kept whom to call, who pays, and what was agreed to."""
from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    Index,
    Integer,
    String,
    Table,
    and_,
    bindparam,
    delete,
    select,
)

from infirmary.contexts.patients.contract import Consent, ContactPerson, Coverage, Decision, Purpose
from infirmary.kernel.database.columns import EnumText, Id, UtcDateTime
from infirmary.kernel.database.rows import Pages, Rows
from infirmary.kernel.database.statement import Query, Statement

from .people import metadata, of_record

contact = Table(
    "contact_person", metadata,
    Column("id", Id, primary_key=True),
    Column("patient_id", Id, nullable=False),
    Column("name", String(100), nullable=False),
    Column("relationship", String(200), nullable=False),
    Column("phone", String(25)),
    Column("emergency", Boolean, nullable=False),
    Column("next_of_kin", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    Index("contact_person_by_patient", "patient_id", "id"))

coverage = Table(
    "coverage", metadata,
    Column("id", Id, primary_key=True),
    Column("patient_id", Id, nullable=False),
    Column("payer", String(100), nullable=False),
    Column("plan", String(200), nullable=False),
    Column("member_number", String(60), nullable=False),
    Column("valid_from", Date, nullable=False),
    Column("valid_until", Date),
    Column("priority", Integer, nullable=False),
    Column("withdrawn_at", UtcDateTime),
    Column("version", Integer, nullable=False),
    Index("coverage_by_patient", "patient_id", "id"))

# Only ever added to: of two decisions at once, one takes the number.
consent = Table(
    "consent", metadata,
    Column("patient_id", Id, primary_key=True),
    Column("purpose", EnumText(Purpose), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("decision", EnumText(Decision), nullable=False),
    Column("text_version", String(20), nullable=False),
    Column("note", String(500), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("by_account", Id),
    Column("by_name", String(255), nullable=False))

CONTACTS = Rows(contact, ContactPerson)
COVERAGES = Rows(coverage, Coverage)
CONSENTS = Rows(consent, Consent, key="number", version=None)

CONTACTS_OF = CONTACTS.find(of_record(contact.c.patient_id), order_by=[
    contact.c.emergency.desc(), contact.c.next_of_kin.desc(), contact.c.id])
REMOVE_CONTACT = Statement(delete(contact).where(
    contact.c.id == bindparam("key", type_=Id), contact.c.version == bindparam("seen")))
EVERY_COVERAGE_OF = COVERAGES.find(of_record(coverage.c.patient_id), order_by=[coverage.c.id])
EVERY_CONSENT_OF = CONSENTS.find(of_record(consent.c.patient_id), order_by=[
    consent.c.at, consent.c.purpose, consent.c.number])
COVERAGES_OF = COVERAGES.find(of_record(coverage.c.patient_id), coverage.c.withdrawn_at.is_(None), order_by=[
    coverage.c.valid_from.desc(), coverage.c.priority, coverage.c.id])
CONSENT_PAGES = Pages(select(consent).where(of_record(consent.c.patient_id)), Consent,
                      [consent.c.at, consent.c.purpose, consent.c.number], newest_first=True)
_later = consent.alias("later")
STANDING = Query(
    select(consent).outerjoin(_later, and_(
        _later.c.patient_id == consent.c.patient_id, _later.c.purpose == consent.c.purpose,
        _later.c.number > consent.c.number))
    .where(of_record(consent.c.patient_id), _later.c.number.is_(None)).order_by(consent.c.purpose), Consent)
