"""A label says who it is to people, and only the number to whoever scans it."""
from __future__ import annotations

import segno

from infirmary.web.pages.label import qr

from .conftest import Hospital


async def test_a_label_names_the_patient_and_its_code_the_number_alone(hospital: Hospital) -> None:
    desk, rosa = hospital.desk, hospital.people.rosa
    page = await desk.open((await desk.open(f"/desk/patients/{rosa.id}")).links["Label Alt L"])
    assert "Rosa Delgado Vega Born 14 Mar 1968 Sex female No. 100 001" in page.words
    assert str(qr(100_001)) in page.text and str(qr(100_002)) not in page.text
    assert " style=" not in page.text and "data-print" in page.text
    scanned = await desk.open("/desk/find?q=100001", htmx=True)   # what a scanner types
    assert "Delgado Vega, Rosa" in scanned.words and "Samuel" not in scanned.words


def test_a_code_is_small_and_readable_when_damaged() -> None:
    for number in (100_001, 99_999_999):
        assert segno.make(str(number), error="h", micro=False).designator == "1-H"
    assert qr(100_001).startswith("<svg") and "style" not in qr(100_001)
