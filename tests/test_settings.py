"""What an installation decides, and what a production hospital does not start with."""
from __future__ import annotations

from pathlib import Path

import pytest

from infirmary.settings import Environment, Mail, Settings, Sms, Video


@pytest.mark.parametrize(("url", "host", "origin"), [
    ("https://hospital.example.org", "hospital.example.org", "https://hospital.example.org"),
    ("https://hospital.example.org:443/", "hospital.example.org", "https://hospital.example.org"),
    ("https://Hospital.example.org:8443", "hospital.example.org", "https://hospital.example.org:8443"),
    ("http://127.0.0.1:8000", "localhost", "http://localhost:8000"),
    ("http://[::1]:8000", "localhost", "http://localhost:8000")])
def test_passkeys_are_made_for_the_name_in_the_public_url(url: str, host: str, origin: str) -> None:
    made = Settings(public_url=url)
    assert (made.passkey_host, made.passkey_origin) == (host, origin)


@pytest.mark.parametrize("url", ["https://192.0.2.7", "https://[2001:db8::7]", "https://127.0.0.1", "https://localhost",
                                 "https://"])
def test_a_production_hospital_has_a_name(url: str) -> None:
    made = Settings(public_url=url, environment=Environment.PRODUCTION, mail=Mail(port=25))
    assert made.weaknesses() == [
        "public_url must hold the hospital's name, not an address: passkeys are made for a name"]
    assert not Settings(public_url="https://hospital.example.org", mail=Mail(port=25)).weaknesses()


def test_a_relay_for_video_visits_needs_a_secret_worth_the_name(tmp_path: Path) -> None:
    known, turn = {"public_url": "https://hospital.example.org", "mail": Mail(port=25)}, "turn:relay.example.org:3478"
    (short := tmp_path / "short").write_text("k" * 31)
    (long := tmp_path / "long").write_text("k" * 32)
    for file in ("", str(tmp_path / "nowhere"), str(short)):
        [weak] = Settings(video=Video(turn=turn, turn_secret_file=file), **known).weaknesses()
        assert "video.turn_secret_file" in weak
    assert Settings(video=Video(turn=turn, turn_secret_file=str(long)), **known).weaknesses() == []


def test_a_gateway_for_text_messages_is_reached_safely_and_knows_us(tmp_path: Path) -> None:
    known = {"public_url": "https://hospital.example.org", "mail": Mail(port=25)}
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    for url, file, wrong in (("http://sms.example.org/send", token, "sms.url"), ("https://sms.example.org/send", "", "sms.token_file"),
                             ("https://sms.example.org/send", tmp_path / "none", "sms.token_file")):
        [weak] = Settings(sms=Sms(url=url, token_file=str(file)), **known).weaknesses()
        assert wrong in weak
    for url in ("https://sms.example.org/send", "http://127.0.0.1:9000/"):
        assert Settings(sms=Sms(url=url, token_file=str(token)), **known).weaknesses() == []
    assert not Settings(**known).texts
