"""The hospital at a glance, messages and the system."""
from __future__ import annotations

from infirmary.contexts.identity.contract import Identity, OpenAccount
from infirmary.contexts.notifications.contract import Delivery, Notifications, Unread
from infirmary.kernel.contract import Page
from infirmary.kernel.errors import Unavailable
from infirmary.language import NURSE
from infirmary.system import ParkedEvent, StillFails, System
from tests.house import MONDAY, admin

from .conftest import Hospital


async def test_the_figures_of_today_and_what_needs_somebody(hospital: Hospital) -> None:
    page = await hospital.administrator.open("/admin")
    assert "Visits today 0 of 2 booked" in page.words
    assert "Waiting now 1 most in Cardiology" in page.words
    assert "1 request waits for an answer Cardiology 1 Answer" in page.words
    assert page.links["Answer"] == "/desk/visits?day=&status=requested"


async def test_every_chart_reads_a_table_that_people_can_read_too(hospital: Hospital) -> None:
    page = await hospital.administrator.open("/admin?period=quarter")
    assert page.text.count("figure class") == page.text.count("data-table=") == 2
    for table in ("t2", "t3"):
        assert f'data-table="{table}"' in page.text
        assert f'id="{table}"' in page.text
    assert 'value="quarter" aria-pressed="true"' in page.text
    assert (await hospital.administrator.open("/admin?period=forever")).status == 200


async def test_a_part_that_does_not_answer_takes_no_figures_with_it(hospital: Hospital) -> None:
    asked: list[str] = []

    class Away(Notifications):
        async def deliveries(self, *_, **__) -> Page[Delivery]:
            asked.append("deliveries")
            raise Unavailable

        async def unread(self, *_) -> Unread:
            asked.append("unread")
            raise Unavailable

    hospital.replace(Notifications, Away())
    page = await hospital.administrator.open("/admin")
    assert page.status == 200
    assert "1 request waits" in page.words
    assert asked == ["deliveries", "unread"]


async def test_events_that_were_set_aside_are_shown_and_tried_again(hospital: Hospital) -> None:
    parked = ParkedEvent(id=hospital.people.rosa.id, context="reports", kind="VisitCompleted", happened_at=MONDAY,
                         parked_at=MONDAY, why="KeyError")
    tried: list[str] = []
    system = hospital.ask(System)

    class Parked(System):
        async def services(self, *_):
            return await system.services(*_)

        async def parked(self, *_):
            return [parked]

        async def replay(self, _, context, event_id):
            tried.append(context)
            if len(tried) == 1:
                raise StillFails("It fails with KeyError. It stays parked.")

    hospital.replace(System, Parked())
    boss = hospital.administrator
    assert "1 event was set aside A part of the system could not handle it: reports" in (await boss.open("/admin")).words
    page = await boss.open("/admin/system")
    assert "VisitCompleted happened Mon 1 Mar, 08:00 Reports KeyError" in page.words
    failed = await boss.submit(page.form("/replay"))
    assert failed.status == 409
    assert "It could not be handled this time either It fails with KeyError." in failed.words
    assert (await boss.submit(failed.form("/replay"))).location == "/admin/system"
    assert tried == ["reports", "reports"]


async def test_the_parts_of_the_system_say_how_they_keep_up(hospital: Hospital) -> None:
    page = await hospital.administrator.open("/admin/system")
    for part in ("Identity", "Patients", "Staff", "Appointments", "Notifications", "Audit", "Reports"):
        assert f"{part} keeps up 0 – 0" in page.words


async def an_invitation(hospital: Hospital) -> Delivery:
    await hospital.ask(Identity).open_account(admin, OpenAccount(email="liam@example.org", name="Liam Byrne",
                                                                 roles=[NURSE]))
    await hospital.house.deliver_facts()
    return (await hospital.ask(Notifications).deliveries(admin)).items[0]


async def test_messages_are_listed_and_lead_to_the_caught_mails(hospital: Hospital) -> None:
    invitation = await an_invitation(hospital)
    page = await hospital.administrator.open("/admin/deliveries")
    assert page.links["Read the caught messages"] == "/admin/mail"
    assert f"{invitation.to} Pending 0" in page.words
    assert "liam@example.org" not in page.words
    sent = await hospital.administrator.open("/admin/deliveries?status=failed")
    assert "Nothing here" in sent.words


async def test_what_was_not_refused_is_not_tried_again(hospital: Hospital) -> None:
    boss = hospital.administrator
    await boss.open("/admin/deliveries")
    first = await an_invitation(hospital)
    answer = await boss.send(f"/admin/deliveries/{first.id}/retry")
    assert answer.status == 409
    assert "There is nothing to try again" in answer.words
