"""The page where people look after how they sign in, and the second step of signing in; all of it without script."""
from __future__ import annotations

import re
from datetime import timedelta

import pyotp

from infirmary.contexts.identity.contract import Identity, OpenAccount
from infirmary.contexts.identity.tables.federation import LOGINS, LoginRow
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.tokens import LIFETIME
from infirmary.language import ADMIN, NURSE
from tests.house import admin

from .conftest import Hospital
from .visitor import Answer, Visitor

EMAIL, PASSWORD = "boss@example.org", "a long password of his"


async def signs_in(hospital: Hospital) -> tuple[Visitor, Answer]:
    visitor = hospital.visitor()
    page = await visitor.open("/sign-in?next=/admin/staff")
    return visitor, await visitor.submit(page.form("/sign-in"), email=EMAIL, password=PASSWORD)


async def sets_up(hospital: Hospital, visitor: Visitor) -> tuple[pyotp.TOTP, list[str]]:
    offered = await visitor.submit((await visitor.open("/security")).form("/security/authenticator"))
    totp = pyotp.parse_uri(offered.form("/confirm").values["uri"])
    assert isinstance(totp, pyotp.TOTP)
    made = await visitor.submit(offered.form("/confirm"), code=totp.at(hospital.clock.now()))
    assert made.status == 200
    hospital.clock.advance(timedelta(seconds=30))
    await hospital.house.learn_revocations()
    return totp, re.findall(r"<code>([a-z2-7]{4}-[a-z2-7]{4}-[a-z2-7]{4})</code>", made.text)


async def test_an_app_is_set_up_by_a_picture_or_by_letters(hospital: Hospital) -> None:
    visitor, _ = await signs_in(hospital)
    assert "Authenticator app Not set up" in (await visitor.open("/security")).words
    offered = await visitor.submit(visitor.seen.form("/security/authenticator"))   # type: ignore[union-attr]
    totp = pyotp.parse_uri(offered.form("/confirm").values["uri"])
    assert '<path fill="#fff"' in offered.text
    assert "style=" not in offered.text   # the policy for content allows none
    assert " ".join(re.findall("....", totp.secret)) in offered.words
    assert totp.secret not in str(offered.headers)
    wrong = await visitor.submit(offered.form("/confirm"), code="000000")
    assert (wrong.status, pyotp.parse_uri(wrong.form("/confirm").values["uri"]).secret) == (422, totp.secret)
    _, sheet = await sets_up(hospital, visitor)
    assert len(sheet) == 10
    page = await visitor.open("/security")
    assert "Authenticator app In use" in page.words
    assert "10 left." in page.words
    assert not any(code in page.text for code in sheet)


async def test_signing_in_has_a_second_step_then_and_goes_where_one_wanted(hospital: Hospital) -> None:
    visitor, _ = await signs_in(hospital)
    totp, sheet = await sets_up(hospital, visitor)
    stranger, step = await signs_in(hospital)
    assert (step.status, "One more step" in step.words) == (200, True)
    assert PASSWORD not in step.text
    assert (await stranger.open("/security")).words.startswith("Sign in")
    wrong = await stranger.submit(step.form("/sign-in/code"), otp="000000")
    assert (wrong.status, "This code does not match, or was used before." in wrong.words) == (401, True)
    answer = await stranger.submit(wrong.form("/sign-in/code"), otp=totp.at(hospital.clock.now()))
    assert (answer.status, answer.location) == (303, "/admin/staff")
    assert "Henrik Salo" in (await stranger.open("/security")).words
    another, step = await signs_in(hospital)
    assert (await another.submit(step.form("/sign-in/code"), otp=sheet[0])).status == 303


async def test_a_second_step_that_took_too_long_begins_again(hospital: Hospital) -> None:
    visitor, _ = await signs_in(hospital)
    totp, _ = await sets_up(hospital, visitor)
    stranger, step = await signs_in(hospital)
    await hospital.wait(6)
    answer = await stranger.submit(step.form("/sign-in/code"), otp=totp.at(hospital.clock.now()))
    assert (answer.status, "This took too long" in answer.words) == (401, True)
    assert answer.form("/sign-in").values["next"] == "/admin/staff"


async def test_the_password_is_asked_for_again_and_the_form_goes_on(hospital: Hospital) -> None:
    visitor, _ = await signs_in(hospital)
    await hospital.wait(11)
    asked = await visitor.submit((await visitor.open("/security")).form("/security/authenticator"))
    assert (asked.status, "Is it you?" in asked.words) == (200, True)
    wrong = await visitor.submit(asked.form("/security/prove"), proof="not this one")
    assert (wrong.status, "That is not your password." in wrong.words) == (422, True)
    offered = await visitor.submit(wrong.form("/security/prove"), proof=PASSWORD)
    assert offered.status == 200
    totp = pyotp.parse_uri(offered.form("/confirm").values["uri"])
    assert isinstance(totp, pyotp.TOTP)
    await hospital.wait(11)   # the phone was not at hand
    asked = await visitor.submit(offered.form("/confirm"), code=totp.at(hospital.clock.now()))
    made = await visitor.submit(asked.form("/security/prove"), proof=PASSWORD)
    assert "Signing in asks for a code now" in made.words


async def test_what_is_the_administrations_goes_on_for_nobody_else(hospital: Hospital) -> None:
    nurse = hospital.visitor(NURSE)
    await nurse.open("/security")
    for path, status in (("/admin/second-factor/reset", 403), ("/security/prove", 404)):
        answer = await nurse.send(path, {"then": "/admin/second-factor/reset", "proof": PASSWORD,
                                         "account_id": str(hospital.people.account.id)})
        assert answer.status == status


async def test_nothing_else_goes_on_with_a_password(hospital: Hospital) -> None:
    visitor, _ = await signs_in(hospital)
    await visitor.open("/security")
    for path in ("/sign-out", "/security/prove", "https://elsewhere.example", ""):
        assert (await visitor.send("/security/prove", {"then": path, "proof": PASSWORD})).status == 404


async def test_new_codes_and_the_end_of_the_app(hospital: Hospital) -> None:
    visitor, _ = await signs_in(hospital)
    totp, sheet = await sets_up(hospital, visitor)
    renewed = await visitor.submit((await visitor.open("/security")).form("/security/recovery-codes"))
    assert not any(code in renewed.text for code in sheet)
    form = (await visitor.open("/security/authenticator/remove")).form("/remove")
    wrong = await visitor.submit(form, password=PASSWORD, code=sheet[0])
    assert (wrong.status, "The password or the code does not match" in wrong.words) == (422, True)
    answer = await visitor.submit(form, password=PASSWORD, code=totp.at(hospital.clock.now()))
    assert answer.location == "/security"
    assert "Not set up" in (await visitor.open("/security")).words


async def test_sign_ins_are_ended_one_by_one_and_all_but_this(hospital: Hospital) -> None:
    here, _ = await signs_in(hospital)
    others = [(await signs_in(hospital))[0] for _ in range(3)]
    page = await here.open("/security")
    assert page.words.count("End this sign-in") == 3
    one = next(form for form in page.forms if re.fullmatch(r"/sessions/[0-9a-f-]{36}/end", form.action))
    assert "That sign-in has ended." in (await here.open((await here.submit(one)).location)).words
    answer = await here.submit((await here.open("/security")).form("/sessions/others/end"))
    page = await here.open(answer.location)
    assert "Here, now" in page.words
    assert "Sign out everywhere else" not in page.words
    await hospital.house.learn_revocations()
    for other in others:
        assert "Sign in" in (await other.open("/security")).words.partition("Make an account")[0]


async def test_the_administration_takes_off_a_factor_and_ends_sign_ins(hospital: Hospital) -> None:
    visitor, _ = await signs_in(hospital)
    await sets_up(hospital, visitor)
    await hospital.ask(Identity).open_account(admin, OpenAccount(
        email="chief@example.org", name="Chief", roles=[ADMIN], password=PASSWORD))
    boss, at = hospital.visitor(), f"/admin/accounts/{hospital.people.account.id}"
    await boss.submit((await boss.open("/sign-in")).form("/sign-in"), email="chief@example.org", password=PASSWORD)
    await hospital.wait(11)
    question = await boss.open(f"{at}?ask=second-factor")
    assert "Take off the second factor of Henrik Salo?" in question.words
    asked = await boss.submit(question.form("/second-factor/reset"))
    assert ("Is it you?" in asked.words, asked.links["Leave it as it is"]) == (True, at)
    done = await boss.submit(asked.form("/security/prove"), proof=PASSWORD)
    assert (done.status, done.location) == (303, at)
    page = await boss.open(at)
    assert "Second factor none" in page.words
    await boss.submit(page.form("/sessions/end"))
    assert "Signed in nowhere." in (await boss.open(at)).words
    assert await hospital.ask(Identity).sessions_of(admin, hospital.people.account.id) == []


async def test_the_administration_takes_off_a_login_elsewhere(hospital: Hospital) -> None:
    account, room = hospital.people.account.id, hospital.house.rooms["identity"]
    row = LoginRow(new_id(), account, "harbour", "https://id.test", "somebody", "a pair", "me@elsewhere.test",
                   hospital.clock.now(), None)
    async with room.db.transaction() as tx:
        LOGINS.add(tx, row)
    await hospital.ask(Identity).open_account(admin, OpenAccount(
        email="chief@example.org", name="Chief", roles=[ADMIN], password=PASSWORD))
    boss, at = hospital.visitor(), f"/admin/accounts/{account}"
    await boss.submit((await boss.open("/sign-in")).form("/sign-in"), email="chief@example.org", password=PASSWORD)
    page = await boss.open(at)
    assert "me@elsewhere.test" in page.words
    done = await boss.submit(page.form("/admin/logins/remove"))
    assert (done.status, done.location) == (303, at)
    assert "me@elsewhere.test" not in (await boss.open(at)).words
    for nonsense in ({}, {"account_id": str(account), "login_id": "x"}):
        assert (await boss.send("/admin/logins/remove", nonsense)).status == 404


async def test_who_signed_in_here_before_is_known_over_signing_out_and_each_at_a_shared_desk(hospital: Hospital) -> None:
    for name in ("ann", "bob"):
        await hospital.ask(Identity).open_account(admin, OpenAccount(
            email=f"{name}@example.org", name=name, roles=[ADMIN], password=PASSWORD))
    desk = hospital.visitor()
    for name in ("ann", "bob", "ann"):
        await desk.submit((await desk.open("/sign-in")).form("/sign-in"), email=f"{name}@example.org", password=PASSWORD)
        await desk.submit((await desk.open("/profile")).form("/sign-out"))
    for name in ("ann", "bob"):
        for n in range(10):
            other = hospital.visitor()
            page = await other.open("/sign-in")
            answer = await other.submit(page.form("/sign-in"), email=f"{name}@example.org", password=f"a guess {n}")
        assert (await other.submit(answer.form("/sign-in"), email=f"{name}@example.org", password=PASSWORD)).status == 429
        page = await desk.open("/sign-in")
        assert (await desk.submit(page.form("/sign-in"), email=f"{name}@example.org", password=PASSWORD)).status == 303
        await desk.submit((await desk.open("/profile")).form("/sign-out"))


# --- what pages ask by themselves ------------------------------------------------------------------------------------

async def test_a_page_left_open_does_not_keep_anybody_signed_in(hospital: Hospital) -> None:
    visitor, _ = await signs_in(hospital)
    for _ in range(5):
        await hospital.wait(11)
        assert (await visitor.ask("GET", "/notifications/bell", htmx=True)).status == 200
    await hospital.wait(11)
    ended = await visitor.ask("GET", "/notifications/bell", htmx=True)
    assert (ended.status, ended.headers["hx-redirect"]) == (204, "/sign-in?next=%2Fnotifications%2Fbell")


async def test_somebody_who_works_stays_signed_in(hospital: Hospital) -> None:
    visitor, _ = await signs_in(hospital)
    for _ in range(7):
        await hospital.wait(11)
        assert (await visitor.ask("GET", "/admin/staff")).status == 200


async def test_the_stream_brings_the_token_that_was_renewed_for_it(hospital: Hospital) -> None:
    """Or the next request, with the used one, would look like a thief's and end the sign-in."""
    visitor, _ = await signs_in(hospital)
    hospital.clock.advance(LIFETIME)
    await hospital.house.learn_revocations()
    before = visitor.cookies["refresh"]
    answer = await visitor.ask("GET", "/notifications/stream")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert visitor.cookies["refresh"] != before
