"""What is served is what is described, where the description too comes through the gateway."""
from __future__ import annotations

import pytest

from infirmary.language import PATIENT, SERVICE
from tests.api.test_schema import found_by_fuzzing
from tests.architecture.requests import OPERATIONS
from tests.hospital import Seeded, token
from tests.services import Services

INSIDE = [name for name, operation in OPERATIONS.items() if set(operation.allow) == {SERVICE}]   # no address outside


async def test_a_patient_finds_nothing_undescribed_and_no_fault(place: Services, seeded: Seeded,
                                                                capsys: pytest.CaptureFixture[str]) -> None:
    patient = token(place.settings, PATIENT, patient_id=seeded.patients[0].id)
    status, requests, said = await found_by_fuzzing(place.base, patient, *(
        word for name in INSIDE for word in ("--exclude-operation-id", name)))
    with capsys.disabled():
        print(f"\nschemathesis as patient, through the gateway: {requests:,} requests")
    assert status == 0, said
    assert requests > 20 * (len(OPERATIONS) - len(INSIDE))
