"""The rules of the door, without a door."""
from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infirmary.contexts.identity import domain
from infirmary.contexts.identity.contract import WeakPassword
from infirmary.language import STAFF_ROLES, Role

NOW = datetime(2027, 3, 1, 8, 0, tzinfo=UTC)
ADA = {"email": "ada.okafor@example.test", "names": ["Ada", "Okafor"]}


def refused(password: str, **person: object) -> bool:
    try:
        domain.check_password(password, **{**ADA, **person})  # type: ignore[arg-type]
    except WeakPassword:
        return True
    return False


@pytest.mark.parametrize("password", [
    "", "short", "ninechars", "x" * 201, "aaaaaaaaaaaa", "abababababab", "1234567890", "password123", "Password2027!",
    "PASSWORD!!!", "p@ssw0rd123", "qwertyuiop", "letmein12345", "doctor12345", "Hospital-2027", "iloveyou123",
    "ada.okafor@example.test", "ADA.OKAFOR@EXAMPLE.TEST", "ada.okafor1", "Ada Okafor", "AdaOkafor1991", "okafor-ada-1",
    "OkaforOkafor", "1234adaokafor", "Okafor2027"])
def test_what_is_guessed_first_is_refused(password: str) -> None:
    assert refused(password)


@pytest.mark.parametrize("password", [
    "infirmary-demo-1", "three unrelated words", "correct horse battery staple", "x7#kQ!m2pZ", "мой длинный пароль",
    "長い長いパスワードです", "Ada likes long walks", "okafor is not my password", "é" * 5 + "abcde" + "fghij", "a" * 190 + "bcdefghijk"])
def test_what_is_ones_own_is_taken(password: str) -> None:
    assert not refused(password)


def test_short_names_do_not_make_half_of_all_passwords_theirs() -> None:
    assert not refused("lovely weather", names=["Lo", "Li"], email="l@example.test")


def test_the_demo_sign_ins_are_taken() -> None:
    for role in ("admin", "doctor", "nurse", "reception", "pharmacist", "cashier", "auditor", "patient"):
        assert not refused("infirmary-demo-1", email=f"{role}@demo.test", names=["Some", "Body"])


@given(st.text(max_size=300))
def test_any_text_is_either_long_enough_or_refused(password: str) -> None:
    assert refused(password) or 10 <= len(domain.normal(password)) <= 200


def test_a_refusal_names_the_field() -> None:
    for password in ("short", "password123", "ada-okafor"):
        with pytest.raises(WeakPassword) as weak:
            domain.check_password(password, **ADA, field="new_password")  # type: ignore[arg-type]
        assert [error.field for error in weak.value.errors] == ["new_password"]


@given(st.emails())
def test_an_address_has_one_key_whatever_its_case(email: str) -> None:
    assert domain.email_key(email) == domain.email_key(email.upper()) == domain.email_key(f" {email.lower()} ")


def test_different_addresses_have_different_keys() -> None:
    alike = ["ada@example.test", "ada@example.tes", "adà@example.test", "ada+1@example.test", "аda@example.test"]
    assert len({domain.email_key(email) for email in alike}) == len(alike)


@given(st.sets(st.sampled_from([role.value for role in Role]), min_size=1), st.timedeltas(timedelta(0), timedelta(days=40)))
def test_a_session_ends_at_the_first_of_both_and_never_moves_past_the_last(roles: set[str], used_for: timedelta) -> None:
    staff = any(role in STAFF_ROLES for role in roles)
    at_most, unused = domain.STAFF_STAY if staff else domain.PATIENT_STAY
    ends = domain.session_ends(roles, started_at=NOW, now=NOW + used_for)
    assert ends <= NOW + at_most
    assert ends - (NOW + used_for) <= unused
    assert ends in {NOW + at_most, NOW + used_for + unused}


@given(st.text(max_size=200), st.text(max_size=200))
def test_folding_is_done_once_and_for_all(name: str, email: str) -> None:
    assert domain.folded(domain.folded(name)) == domain.folded(name)
    assert len(domain.name_key(name)) <= 191
    assert len(domain.search_text(name, email)) <= 800


@pytest.mark.parametrize(("address", "whose"), [
    ("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
    ("fe80::1%eth0", "fe80::/64"), ("", ""), ("testclient", "testclient"), ("999.1.1.1", "999.1.1.1")])
def test_an_address_stands_for_its_owner(address: str, whose: str) -> None:
    assert domain.network(address) == whose


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", ""])
def test_this_machine_may_try_often_but_not_in_production(address: str) -> None:
    assert domain.limit_of(address, production=False).tries == 5_000
    assert domain.limit_of(address, production=True).tries == 50


@given(st.ip_addresses().filter(lambda ip: not ip.is_loopback and not (ip.version == 6 and ip.ipv4_mapped)))
def test_everybody_else_may_try_as_often_everywhere(ip: object) -> None:
    assert domain.limit_of(str(ip), production=False) == domain.limit_of(str(ip), production=True) == domain.PER_ADDRESS
