"""What an installation decides, and what a production hospital does not start with."""
from __future__ import annotations

import pytest

from infirmary.settings import Environment, Mail, Settings


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
