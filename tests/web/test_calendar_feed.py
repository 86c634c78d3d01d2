"""One's own calendar: a link that is shown once, read without an account, and ended on the same page."""
from __future__ import annotations

import re

from infirmary.contexts.identity.contract import Identity, OpenAccount
from infirmary.language import NURSE, PATIENT
from tests.house import admin

from .conftest import Hospital


async def test_a_link_is_made_read_and_ended(hospital: Hospital) -> None:
    rosa = await hospital.ask(Identity).open_account(admin, OpenAccount(
        email="rosa@example.org", name="Rosa Delgado Vega", roles=[PATIENT], password="a long password of hers",
        patient_id=hospital.people.rosa.id))
    visitor = hospital.visitor(PATIENT, account_id=rosa.id)
    page = await visitor.open((await visitor.open("/profile")).links["Calendar link"])
    assert "Never shown Why you come." in page.words
    made = await visitor.submit(page.form("/calendar-feed"))
    [path] = set(re.findall(r"/api/v1/calendar/[A-Za-z0-9_-]{43}\.ics", made.text))
    nobody = hospital.visitor()
    feed = await nobody.open(path)
    assert (feed.status, feed.headers["content-type"]) == (200, "text/calendar; charset=utf-8")
    assert "SUMMARY:Dr Amara Okafor\\, Harbour Lane Hospital" in feed.text
    assert "Breathless" not in feed.text
    again = await nobody.open(path, if_none_match=feed.headers["etag"])
    assert (again.status, again.text) == (304, "")
    page = await visitor.open("/calendar-feed")
    assert path not in page.text, "shown once"
    assert "last read" in page.words
    await visitor.submit(page.form("/calendar-feed/end"))
    assert (await nobody.open(path)).status == 404
    assert (await hospital.visitor(NURSE).open("/calendar-feed")).status == 403
