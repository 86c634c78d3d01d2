"""A patient's label to print: the wristband's facts, and the hospital number as a QR code that the search field reads."""
from __future__ import annotations

from typing import Any

import segno
from litestar import Response
from markupsafe import Markup

from infirmary.contexts.patients.contract import Patients
from infirmary.web.page import Page, Pages

from .desk import ROLES, search

pages = Pages()


def qr(number: int) -> Markup:
    """The number and nothing else, so that a label which is lost says nothing. It is read with 30 % of it damaged."""
    return Markup(segno.make(str(number), error="h", micro=False).svg_inline(  # noqa: S704 – made of digits only
        border=2, dark="#000", light="#fff", omitsize=True))


@pages.get("/desk/patients/{patient_id}/label", roles=ROLES)
async def label(page: Page) -> Response[Any]:
    patient = await page.ask(Patients).patient(page.caller, page.id("patient_id"))
    return await page.render("desk/label.html", here="/desk", search=search(page), patient=patient, qr=qr(patient.number))
