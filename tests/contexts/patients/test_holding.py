"""All that is held about one person, as one document: theirs, and of those whose register it is."""
from __future__ import annotations

from datetime import date

import pytest

from infirmary.contexts.patients.contract import (
    ConsentForm,
    ContactForm,
    CoverageForm,
    Decision,
    EndGuardianship,
    GuardianForm,
    GuardianKind,
    MergeForm,
    Purpose,
)
from infirmary.kernel.errors import NotFound

from .builders import Register, a_patient_caller, nurse, reception


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_everything_is_in_it_also_what_is_over(register: Register, engine: str) -> None:
    child, mother = await register.a_patient("Child", birth_date=date(2020, 1, 1)), await register.a_patient("Mother")
    twice, stranger = await register.a_patient("Chidl", birth_date=date(2020, 1, 1)), await register.a_patient("Else")
    contact = await register.ask.add_contact(reception, child.id, ContactForm(name="Aunt"))
    card = await register.ask.add_coverage(reception, child.id, CoverageForm(
        payer="Aurora", member_number="1", valid_from=date(2027, 1, 1)))
    await register.ask.withdraw_coverage(reception, child.id, card.id, card.version)
    for decision in (Decision.GIVEN, Decision.WITHDRAWN):
        await register.ask.decide(reception, child.id, ConsentForm(
            purpose=Purpose.RESEARCH, decision=decision, text_version="1"))
    form = GuardianForm(guardian_id=mother.id, kind=GuardianKind.PARENT, reason="Her child.", document="Seen")
    over = await register.ask.name_guardian(reception, child.id, form)
    await register.ask.end_guardianship(reception, child.id, over.id, EndGuardianship(reason="By mistake."), over.version)
    stands = await register.ask.name_guardian(reception, child.id, form)
    merge = await register.ask.merge(reception, child.id, MergeForm(duplicate_id=twice.id, reason="Two spellings."))

    held = await register.ask.held_record(nurse, child.id)
    assert held.format == "infirmary/held-record/1"
    assert (held.patient.id, [one.id for one in held.parts], held.contacts) == (child.id, [twice.id], [contact])
    assert [(one.id, one.withdrawn_at is not None) for one in held.coverages] == [(card.id, True)]
    assert [one.decision for one in held.consents] == [Decision.GIVEN, Decision.WITHDRAWN]
    assert [(one.id, one.end_reason) for one in held.guardians] == [(over.id, "By mistake."), (stands.id, "")]
    assert [(one.id, one.reason) for one in held.merges] == [(merge.id, "Two spellings.")]

    theirs = await register.ask.held_record(a_patient_caller(mother), child.id)   # as the mother of the child
    assert ([one.reason for one in theirs.guardians], [one.reason for one in theirs.merges]) == (["", ""], [""])
    own = await register.ask.held_record(a_patient_caller(mother), mother.id)
    assert [one.ward_id for one in own.wards] == [child.id]
    with pytest.raises(NotFound):
        await register.ask.held_record(a_patient_caller(stranger), child.id)
    assert [(entry.subject_id, entry.detail) for entry in await register.entries("patient.exported")] == [
        (child.id, {}), (child.id, {"on_behalf": "parent"}), (mother.id, {})]
