"""Facts from elsewhere become inbox and delivery rows: once each, and all together."""
from __future__ import annotations

import asyncio
from datetime import UTC, timedelta
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import delete

from infirmary.contexts.appointments.contract import Participant, ParticipantKind
from infirmary.contexts.appointments.events import (
    AppointmentAccepted,
    AppointmentBooked,
    AppointmentCancelled,
    AppointmentDeclined,
    AppointmentRequested,
    AppointmentRescheduled,
    MovePlanDone,
    NotSeenThatDay,
    ParticipantsChanged,
    PartOf,
    Received,
    SeriesChange,
    SeriesChanged,
    TimeOffered,
    WaitLapsed,
)
from infirmary.contexts.identity.contract import ResetLink
from infirmary.contexts.identity.events import (
    FactorChange,
    FactorChanged,
    PasswordChanged,
    PasswordResetRequested,
    RefreshTokenReused,
)
from infirmary.contexts.notifications import tables
from infirmary.contexts.notifications.contract import DeliveryStatus
from infirmary.contexts.notifications.domain.taking_part import about_taking_part
from infirmary.contexts.patients.contract import GuardianKind, Guardianship
from infirmary.contexts.patients.events import GuardianNamed, GuardianshipEnded
from infirmary.kernel.audit import Audited
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.kernel.database.statement import Query, Statement
from infirmary.kernel.errors import Unavailable
from infirmary.kernel.outbox import inbox, outbox

from .builders import SILVA, THURSDAY, a_desk, a_fact, a_visit, admin, mary, okafor, silva

OUTBOX = Query(outbox.select().with_only_columns(outbox.c.body), object)


async def inbox_of(desk, person):
    return (await desk.ask.notifications(person.caller)).items


async def deliveries(desk):
    return (await desk.ask.deliveries(admin)).items


async def in_database(desk, query):
    async with desk.db.reading() as reading:
        return await reading.all(query)


@pytest.fixture
async def desk(database_url, tmp_path):
    async with a_desk(database_url, tmp_path) as desk:
        yield desk


async def test_a_booking_is_told_to_patient_and_doctor(desk):
    await desk.hears(a_visit())
    [hers], [theirs] = await inbox_of(desk, mary), await inbox_of(desk, okafor)
    assert hers.title == "Your visit is booked: Thu 26 Nov, 09:20"
    assert theirs.title == "Mary Byrne is booked for Thu 26 Nov, 09:20"
    assert await inbox_of(desk, silva) == []
    sent = await deliveries(desk)
    assert sorted(one.to for one in sent) == ["m…@byrne.example", "o…@infirmary.example"]
    assert {one.status for one in sent} == {DeliveryStatus.PENDING}


@pytest.mark.parametrize("kind", [AppointmentBooked, AppointmentAccepted, AppointmentDeclined, AppointmentRescheduled,
                                  AppointmentCancelled])
async def test_a_patient_has_it_in_writing_and_a_doctor_is_not_told_of_their_own_deed(desk, kind):
    await desk.hears(a_visit(kind, by=mary.account_id))
    await desk.hears(a_visit(kind, by=okafor.account_id))
    assert len(await inbox_of(desk, mary)) == 2
    assert len(await inbox_of(desk, okafor)) == 1
    assert len(await deliveries(desk)) == 3


async def test_a_request_is_told_to_the_doctor_and_confirmed_to_the_patient(desk):
    await desk.hears(a_visit(AppointmentRequested, by=mary.account_id))
    assert [one.title for one in await inbox_of(desk, okafor)] == ["Mary Byrne asks for Thu 26 Nov, 09:20"]
    assert [one.title for one in await inbox_of(desk, mary)] == ["You asked for Thu 26 Nov, 09:20"]


async def test_a_doctor_who_loses_a_visit_is_told_too(desk):
    await desk.hears(a_visit(AppointmentRescheduled, doctor_id=silva.id))
    assert len(await inbox_of(desk, okafor)) == len(await inbox_of(desk, silva)) == len(await inbox_of(desk, mary)) == 1


async def test_a_second_doctor_is_told_what_becomes_of_a_visit_they_take_part_in(desk):
    with_her = (Participant(silva.id, ParticipantKind.DOCTOR, SILVA), Participant(new_id(), ParticipantKind.ROOM, "Room 9"))
    await desk.hears(a_visit(participants=with_her))
    await desk.hears(a_visit(AppointmentAccepted, version=2, participants=with_her))
    await desk.hears(a_visit(AppointmentRescheduled, version=3, participants=with_her, previous_participants=with_her,
                             part_of=PartOf.MOVE_PLAN))
    await desk.hears(a_visit(ParticipantsChanged, version=4, previous_participants=with_her))
    await desk.hears(a_visit(AppointmentCancelled, version=5, participants=with_her))
    assert [one.title for one in reversed(await inbox_of(desk, silva))] == [
        "You take part in a visit: Mary Byrne, Thu 26 Nov, 09:20", "Mary Byrne is moved to Thu 26 Nov, 09:20",
        "Mary Byrne does not come to you on Thu 26 Nov, 09:20", "Mary Byrne does not come on Thu 26 Nov, 09:20"]
    [in_writing] = about_taking_part(a_visit(participants=with_her), tz=UTC, now=THURSDAY)
    assert in_writing.message.mail_title == "You take part in a visit: A patient, Thu 26 Nov, 09:20"
    by_her = a_visit(ParticipantsChanged, by=silva.account_id, version=2, participants=with_her, previous_participants=())
    await desk.hears(by_her)
    assert len(await inbox_of(desk, silva)) == 4, "nobody is told of their own deed"


async def test_the_same_fact_twice_tells_once(desk):
    fact = await desk.hears(a_visit())
    await desk.hears(fact.event, fact)
    assert len(await inbox_of(desk, mary)) == 1
    assert len(await deliveries(desk)) == 2


async def test_a_fact_that_nobody_is_told_of_is_marked_as_handled_too(desk):
    part = await desk.hears(a_visit(part_of=PartOf.SERIES))   # people hear of the series as a whole
    assert await deliveries(desk) == []
    assert await in_database(desk, Query(inbox.select().with_only_columns(inbox.c.fact_id), UUID)) == [part.id]


async def test_the_same_fact_at_the_same_time_tells_once(desk, database_url, tmp_path):
    async with a_desk(database_url, tmp_path, fresh=False) as other:
        fact = a_fact(a_visit())
        await asyncio.gather(*(one.hears(fact.event, fact) for one in (desk, other, desk, other)))
    assert len(await inbox_of(desk, mary)) == 1
    assert len(await deliveries(desk)) == 2


async def test_a_fact_that_comes_again_after_the_kernels_inbox_forgot_it_tells_nobody_twice(desk):
    fact = await desk.hears(a_visit())
    async with desk.db.transaction() as tx:
        assert await tx.run(Statement(delete(inbox))) == 1
    await desk.hears(fact.event, fact)
    assert len(await inbox_of(desk, mary)) == 1
    assert len(await deliveries(desk)) == 2


async def test_the_database_lets_no_fact_tell_one_person_twice(desk):
    await desk.hears(a_visit())
    for rows in (tables.NOTIFICATIONS, tables.DELIVERIES):
        row, *_ = await in_database(desk, rows.find())
        with pytest.raises(UniqueViolation):
            async with desk.db.transaction() as tx:
                rows.add(tx, msgspec.structs.replace(row, id=new_id()))


async def test_inbox_delivery_and_mark_are_written_together_or_not_at_all(desk, monkeypatch):
    """A crash between the rows leaves none of them, so the next delivery of the fact does everything."""
    fact = a_fact(a_visit())
    broken = type(tables.DELIVERIES)(tables.delivery, tables.DeliveryRow, version=None)

    def fails(*_):
        raise ConnectionResetError

    monkeypatch.setattr(broken, "add", fails)
    monkeypatch.setattr("infirmary.contexts.notifications.service.DELIVERIES", broken)
    with pytest.raises(ConnectionResetError):
        await desk.hears(fact.event, fact)
    assert await inbox_of(desk, mary) == []
    monkeypatch.undo()
    await desk.hears(fact.event, fact)
    assert len(await inbox_of(desk, mary)) == 1


async def test_somebody_without_an_account_is_not_told_and_that_is_all(desk):
    await desk.hears(a_visit(patient_id=new_id()))
    assert len(await inbox_of(desk, okafor)) == 1
    assert len(await deliveries(desk)) == 1


async def test_a_doctor_who_is_the_patient_is_told_once_as_the_patient(desk):
    desk.identity.people[0] = type(mary)(mary.name, mary.role, mary.id, okafor.account_id, okafor.email)
    await desk.hears(a_visit())
    [only] = await inbox_of(desk, okafor)
    assert only.title.startswith("Your visit is booked")
    assert len(await deliveries(desk)) == 1


async def test_an_identity_that_cannot_answer_raises_so_that_the_bus_tries_again(desk):
    desk.identity.failure = Unavailable()
    fact = a_fact(a_visit())
    with pytest.raises(Unavailable):
        await desk.hears(fact.event, fact)
    assert await desk.consumer.parked() == []
    desk.identity.failure = None
    await desk.hears(fact.event, fact)
    assert len(await inbox_of(desk, mary)) == 1


async def test_a_poison_fact_is_parked_at_the_last_attempt_and_can_be_replayed(desk):
    desk.identity.failure = RuntimeError("not today")
    await desk.consumer.handle(a_fact(a_visit()), last=True)
    [parked] = await desk.consumer.parked()
    assert parked.why == "RuntimeError"
    desk.identity.failure = None
    await desk.consumer.replay(parked)
    assert len(await inbox_of(desk, mary)) == 1
    assert await desk.consumer.parked() == []


async def test_a_reset_goes_by_mail_only_and_the_link_is_kept_nowhere(desk):
    reset = new_id()
    desk.identity.links[reset] = ResetLink(mary.email, mary.name, "https://hospital.example/reset#secret",
                                            invitation=False)
    await desk.hears(PasswordResetRequested(aggregate=reset, version=1, account_id=mary.account_id, invitation=False))
    assert await inbox_of(desk, mary) == []
    [row] = await in_database(desk, tables.DELIVERIES.find())
    assert (row.kind, row.address, row.about) == ("password.reset", mary.email, reset)
    assert "secret" not in str(row)
    assert "secret" not in str(await in_database(desk, OUTBOX))


async def test_an_invitation_speaks_of_the_new_account(desk):
    reset = new_id()
    desk.identity.links[reset] = ResetLink(mary.email, mary.name, "https://x", invitation=True)
    await desk.hears(PasswordResetRequested(aggregate=reset, version=1, account_id=mary.account_id, invitation=True))
    [row] = await in_database(desk, tables.DELIVERIES.find())
    assert row.title == "Your account at Harbour Lane Hospital"


async def test_a_reset_that_has_expired_is_not_mailed(desk):
    gone = PasswordResetRequested(aggregate=new_id(), version=1, account_id=mary.account_id, invitation=False)
    await desk.hears(gone)
    assert await deliveries(desk) == []


@pytest.mark.parametrize(("kind", "title"), [(PasswordChanged, "Your password is changed"),
                                             (RefreshTokenReused, "We signed you out on one device")])
async def test_what_happens_to_an_account_is_told_to_its_owner(desk, kind, title):
    await desk.hears(kind(aggregate=new_id(), version=1, account_id=okafor.account_id))
    assert [one.title for one in await inbox_of(desk, okafor)] == [title]
    assert [one.to for one in await deliveries(desk)] == ["o…@infirmary.example"]


@pytest.mark.parametrize("change", FactorChange)
async def test_every_change_of_the_second_factor_is_told_to_its_owner(desk, change):
    await desk.hears(FactorChanged(aggregate=new_id(), version=1, account_id=okafor.account_id, change=change))
    [told] = await inbox_of(desk, okafor)
    assert told.link == "/security"
    assert told.body.endswith("If it was not you, choose a new password at once, and call us.")
    assert [one.to for one in await deliveries(desk)] == ["o…@infirmary.example"]


async def test_what_was_written_is_audited_without_names(desk):
    fact = await desk.hears(a_visit())
    bodies = await in_database(desk, OUTBOX)
    [entry] = [body for body in bodies if body.get("action") == "notification.written"]
    assert entry["subject_id"] == str(mary.id)
    assert entry["entity"] == f"fact/{fact.id}"
    assert mary.name not in str(entry)
    assert set(entry) == set(Audited.__struct_fields__)


async def test_an_offer_from_the_waitlist_says_until_when_and_what_came_of_it(desk):
    offered = TimeOffered(aggregate=new_id(), version=2, patient_id=mary.id, doctor_id=new_id(),
                          doctor_name="Dr Amara Okafor", department_name="Cardiology", starts_at=THURSDAY,
                          expires_at=THURSDAY - timedelta(days=1))
    await desk.hears(offered)
    await desk.hears(WaitLapsed(aggregate=offered.aggregate, version=3, patient_id=mary.id,
                                about_name="Cardiology", offered_at=THURSDAY))
    await desk.hears(WaitLapsed(aggregate=new_id(), version=2, patient_id=mary.id, about_name="Cardiology",
                                offered_at=None))
    over, gone, free = await inbox_of(desk, mary)
    assert free.title == "A time came free: Thu 26 Nov, 09:20"
    assert "kept for you until Wed 25 Nov, 09:20" in free.body
    assert gone.title == "The time on Thu 26 Nov, 09:20 went to somebody else"
    assert over.title == "No time came free for you"
    assert {one.link for one in (over, gone, free)} == {"/waitlist"}
    assert sorted(one.kind for one in await deliveries(desk)) == [
        "waitlist.lapsed", "waitlist.lapsed", "waitlist.offered"]


async def test_of_a_plan_patients_hear_one_by_one_and_doctors_as_a_whole(desk):
    moved = a_visit(AppointmentRescheduled, part_of=PartOf.MOVE_PLAN)
    await desk.hears(moved)
    [hers] = await inbox_of(desk, mary)
    assert (hers.title, hers.link) == ("Your visit is moved to Thu 26 Nov, 09:20", f"/visits/{moved.aggregate}/move")
    assert "your doctor is away then" in hers.body
    assert await inbox_of(desk, okafor) == []
    done = MovePlanDone(
        aggregate=new_id(), version=3, doctor_id=okafor.id, doctor_name=okafor.name, starts_at=THURSDAY,
        ends_at=THURSDAY + timedelta(days=1), moved=5, standing=1, undone=False, by_account=None,
        received=[Received(okafor.id, 2), Received(silva.id, 3)])
    await desk.hears(done)
    [his], [hers] = await inbox_of(desk, okafor), await inbox_of(desk, silva)
    assert his.body == "Visits moved from Thu 26 Nov, 09:20 to Fri 27 Nov, 09:20: 5. Still standing there: 1."
    assert his.link == f"/doctor/moves/{done.aggregate}"
    assert (hers.title, hers.link) == ("You take over visits of Dr Ngozi Okafor", "/doctor/diary")
    assert hers.body.startswith("New in your diary: 3.")
    await desk.hears(msgspec.structs.replace(done, by_account=okafor.account_id))
    assert len(await inbox_of(desk, okafor)) == 1, "nobody is told of what they did"


async def test_of_a_plan_that_is_undone_people_hear_that_it_is_back(desk):
    await desk.hears(a_visit(AppointmentRescheduled, part_of=PartOf.MOVE_PLAN_UNDONE))
    [hers] = await inbox_of(desk, mary)
    assert "It is back from Wed 25 Nov, 09:20" in hers.body


def a_guardian(name="Rosa Vega", role="patient"):
    return type(mary)(name, role, new_id(), new_id(), "rosa@vega.example")


def stands(guardian, ward):
    return Guardianship(
        id=new_id(), ward_id=ward.id, ward_name=ward.name, guardian_id=guardian.id, guardian_name=guardian.name,
        kind=GuardianKind.PARENT, valid_from=THURSDAY.date(), valid_until=None, reason="", document="", made_at=THURSDAY,
        made_by="", ended_at=None, ended_by="", end_reason="", version=1)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_a_guardian_hears_of_the_visits_and_offers_of_their_ward(desk):
    """Also when the ward has no account; and the subject of a mail names nobody."""
    rosa = a_guardian()
    desk.identity.people = [rosa, okafor]
    await desk.hears(a_visit())
    assert await inbox_of(desk, rosa) == []
    desk.identity.guardianships = [stands(rosa, mary)]
    event = a_visit()
    await desk.hears(event)
    await desk.hears(WaitLapsed(aggregate=new_id(), version=2, patient_id=mary.id, about_name="Heart", offered_at=None))
    assert [(one.title, one.link) for one in await inbox_of(desk, rosa)] == [
        ("For Mary Byrne: No time came free for you", f"/waitlist?for={mary.id}"),
        ("For Mary Byrne: Your visit is booked: Thu 26 Nov, 09:20", f"/visits/{event.aggregate}?for={mary.id}")]
    titles = await in_database(desk, Query(tables.delivery.select().with_only_columns(tables.delivery.c.title), str))
    assert "For somebody you see to: Your visit is booked: Thu 26 Nov, 09:20" in titles
    assert not [one for one in titles if "Mary" in one]


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("kind", "more", "guardian", "ward"), [
    (GuardianNamed, {"valid_from": THURSDAY.date(), "valid_until": None},
     "You act for Mary Byrne here", "Rosa Vega acts for you here"),
    (GuardianshipEnded, {"by_itself": True},
     "You do not act for Mary Byrne any more", "Rosa Vega does not act for you any more")])
async def test_both_are_told_when_somebody_acts_for_somebody_and_when_that_is_over(desk, kind, more, guardian, ward):
    rosa = a_guardian()
    desk.identity.people.append(rosa)
    await desk.hears(kind(aggregate=new_id(), version=1, ward_id=mary.id, ward_name=mary.name, guardian_id=rosa.id,
                          guardian_name=rosa.name, right=GuardianKind.PARENT, **more))
    assert [one.title for one in await inbox_of(desk, rosa)] == [guardian]
    assert [one.title for one in await inbox_of(desk, mary)] == [ward]


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("more", "guardian", "ward"), [
    ({"by_ward": True}, "They ended it themselves.", "You ended it."),
    ({"by_itself": True, "of_age": True}, "They are of age now.", "say so at the front desk"),
    ({"by_itself": True}, "Its last day is over.", "Its last day is over."), ({}, "at the front desk", "at the front desk")])
async def test_why_somebody_does_not_act_any_more_is_said_to_both(desk, more, guardian, ward):
    rosa = a_guardian()
    desk.identity.people.append(rosa)
    await desk.hears(GuardianshipEnded(**{"by_itself": False, **more}, aggregate=new_id(), version=2, ward_id=mary.id,
                                       ward_name=mary.name, guardian_id=rosa.id, guardian_name=rosa.name,
                                       right=GuardianKind.CARER))
    assert guardian in (await inbox_of(desk, rosa))[0].body and ward in (await inbox_of(desk, mary))[0].body


async def test_who_was_not_called_before_the_day_was_over_reads_it(desk):
    await desk.hears(NotSeenThatDay(aggregate=new_id(), version=2, patient_id=mary.id, department_name="Cardiology",
                                    number=12))
    [told] = await inbox_of(desk, mary)
    assert told.title == "You were not called before the day was over"
    assert "The queue of Cardiology closed before your number 12 was called." in told.body
    assert told.link == "/book"


@pytest.mark.parametrize(("change", "title", "theirs"), [
    (SeriesChange.BOOKED, "Your visits are booked: 2, from Thu 26 Nov, 09:20", "Mary Byrne is booked 2 times from"),
    (SeriesChange.MOVED, "Your visits are moved: 2, from Thu 26 Nov, 09:20", "Mary Byrne is moved: 2 visits from"),
    (SeriesChange.CANCELLED, "Your visits are cancelled: 2, from Thu 26 Nov, 09:20", "Mary Byrne does not come: 2 visits from")])
async def test_of_a_series_people_hear_once(desk, change, title, theirs):
    await desk.hears(a_visit(AppointmentBooked, part_of=PartOf.SERIES))
    await desk.hears(SeriesChanged(
        aggregate=new_id(), version=1, change=change, patient_id=mary.id, patient_name=mary.name, doctor_id=okafor.id,
        doctor_name=okafor.name, department_name="Cardiology", by_account=None,
        starts_at=[THURSDAY, THURSDAY + timedelta(days=7)]))
    [hers], [his] = await inbox_of(desk, mary), await inbox_of(desk, okafor)
    assert (hers.title, hers.link) == (title, "/visits")
    assert "the last on Thu 3 Dec, 09:20" in hers.body
    assert his.title.startswith(theirs)
    assert {one.kind for one in await deliveries(desk)} == {f"series.{change}"}
