"""A provider of OpenID Connect that lies, talks nonsense, hangs or is away proves nothing and hurts nobody."""
from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from msgspec import structs

from infirmary.contexts.identity.contract import (
    NotProven,
    ProviderAway,
)
from infirmary.contexts.identity.service.provider import Metadata, safe
from infirmary.kernel.access import NOBODY
from tests.provider.lying import SECRET, LyingProvider, base64url, published

from .builders import Door
from .elsewhere import ada_linked, arrives, comes_back, is_refused, knows

FORGED: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://elsewhere.test"},
    "no issuer": {"iss": None},
    "another audience": {"aud": "somebody-else"},
    "another audience besides": {"aud": ["infirmary", "somebody-else"]},
    "no audience": {"aud": None},
    "made for another party": {"azp": "somebody-else"},
    "expired": {"exp": 1},
    "an end that is no number": {"exp": float("nan")},
    "no end": {"exp": None},
    "an end in words": {"exp": "2099-01-01"},
    "made long ago": {"iat": 1},
    "made in the future": {"iat": 9_999_999_999},
    "no time of making": {"iat": None},
    "another nonce": {"nonce": "x" * 43},
    "no nonce": {"nonce": None},
    "another access token": {"at_hash": "x" * 22},
    "no subject": {"sub": None},
    "an empty subject": {"sub": ""},
    "a subject that is a number": {"sub": 7},
    "a subject that is too long": {"sub": "x" * 256},
}


async def believed(door: Door, provider: LyingProvider, lies: Iterable[tuple[str, Callable[[LyingProvider], Any]]]) -> list[str]:
    """Those of the lies that were taken for the truth; each by a provider that nobody has asked before."""
    await ada_linked(door, provider)
    found = []
    for name, lie in lies:
        provider.honest()
        door.restart()
        lie(provider)
        try:
            await arrives(door, provider)
            found.append(name)
        except NotProven:
            pass
    return found


async def test_a_token_whose_claims_do_not_hold_proves_nothing(door: Door, provider: LyingProvider) -> None:
    lies = [(name, partial(LyingProvider.claims_are, claims=claims)) for name, claims in FORGED.items()]
    assert await believed(door, provider, lies) == []
    assert {one.entity for one in await door.audited("session.refused")} == {"provider/harbour"}
    provider.honest()
    door.restart()
    assert (await arrives(door, provider)).tokens   # and the truth is still believed


def public_pem(provider: LyingProvider) -> bytes:
    return provider.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def other_key(provider: LyingProvider) -> None:
    provider.key = generate_private_key(SECP256R1())


def another_subject(token: str) -> str:
    head, body, signature = token.split(".")
    claims = json.loads(base64_decoded(body)) | {"sub": "somebody else"}
    return f"{head}.{base64url(json.dumps(claims).encode())}.{signature}"


def base64_decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "==")


SIGNED: dict[str, Callable[[LyingProvider], Any]] = {
    "no signature": lambda p: setattr(p, "forged", lambda token: p.unsigned(token, {"alg": "none", "kid": "first"})),
    "no signature, in capitals": lambda p: setattr(p, "forged", lambda token: p.unsigned(token, {"alg": "NONE"})),
    "the signature cut off": lambda p: setattr(p, "forged", lambda token: token.rpartition(".")[0] + "."),
    "the public key as a password": lambda p: setattr(p, "forged", lambda token: p.unsigned(
        token, {"alg": "HS256", "kid": "first"}, public_pem(p))),
    "our secret as a password": lambda p: setattr(p, "forged", lambda token: p.unsigned(
        token, {"alg": "HS256", "kid": "first"}, SECRET.encode())),
    "another key under its name": other_key,
    "a key that nobody published": lambda p: (other_key(p), p.header.update(kid="second")),
    "a key that it brings along": lambda p: (other_key(p), p.header.update(jwk=published(p.key, "first"))),
    "a key at an address that it names": lambda p: (other_key(p), p.header.update(jku="http://127.0.0.1:1/keys")),
    "conditions that we do not know": lambda p: p.header.update(crit=["exp"], exp=1),
    "a key that is for encryption": lambda p: p.keys[0].update(use="enc"),
    "a key that is for another algorithm": lambda p: p.keys[0].update(alg="ES384"),
    "other claims under the same signature": lambda p: setattr(p, "forged", another_subject),
    "no token at all": lambda p: setattr(p, "forged", lambda _: "no.token"),
    "an endless token": lambda p: setattr(p, "forged", lambda token: token + "x" * 15_000),
}


async def test_a_token_that_the_provider_has_not_signed_proves_nothing(door: Door, provider: LyingProvider) -> None:
    assert await believed(door, provider, SIGNED.items()) == []
    provider.honest()
    door.restart()
    assert (await arrives(door, provider)).tokens


async def test_a_key_that_is_new_is_learned_and_a_name_that_nobody_knows_makes_us_ask_no_oftener(
        door: Door, provider: LyingProvider) -> None:
    await ada_linked(door, provider)
    door.wait(seconds=30)
    other_key(provider)
    provider.keys.append(published(provider.key, "second"))
    provider.header["kid"] = "second"
    assert (await arrives(door, provider)).tokens
    asked = provider.asked["/keys"]
    provider.header["kid"] = "third"
    for _ in range(5):
        await is_refused(NotProven, door, provider)
    assert provider.asked["/keys"] == asked


async def test_an_answer_that_names_another_provider_is_a_mix_up(door: Door, provider: LyingProvider) -> None:
    await ada_linked(door, provider)
    away = await door.ask.start_oidc(NOBODY, "harbour")
    brought = provider.signs_in(away.authorization_url)
    with pytest.raises(NotProven):
        await comes_back(door, {**brought, "iss": "https://elsewhere.test"}, away)


async def test_an_answer_names_its_provider_where_that_has_promised_to(door: Door, provider: LyingProvider) -> None:
    await ada_linked(door, provider)
    provider.metadata["authorization_response_iss_parameter_supported"] = True
    door.restart()   # it had read what the provider says of itself
    away = await door.ask.start_oidc(NOBODY, "harbour")
    brought = provider.signs_in(away.authorization_url)
    with pytest.raises(NotProven):
        await comes_back(door, {name: said for name, said in brought.items() if name != "iss"}, away)


# --- a provider that is away, or talks nonsense ----------------------------------------------------------------------

def nonsense(*, status: int = 200, text: str = "<html>") -> Callable[[], web.Response]:
    return lambda: web.Response(status=status, text=text)


NONSENSE: dict[str, tuple[str, Callable[[], web.Response]]] = {
    "metadata: 500": ("/.well-known/openid-configuration", nonsense(status=500)),
    "metadata: a page": ("/.well-known/openid-configuration", nonsense()),
    "metadata: without end": ("/.well-known/openid-configuration", nonsense(text="[" * 300_000)),
    "metadata: no addresses": ("/.well-known/openid-configuration", nonsense(text='{"issuer": "x"}')),
    "token: 500": ("/token", nonsense(status=500)),
    "token: 200 and a page": ("/token", nonsense()),
    "token: we are unknown": ("/token", nonsense(status=401, text='{"error": "invalid_client"}')),
    "token: no ID token": ("/token", nonsense(text='{"access_token": "x"}')),
    "token: not UTF-8": ("/token", lambda: web.Response(body=b"\xff\xfe{}")),
    "keys: 404": ("/keys", nonsense(status=404)),
    "keys: a list": ("/keys", nonsense(text="[]")),
}


async def test_nonsense_from_the_provider_is_its_being_away(door: Door, provider: LyingProvider) -> None:
    for path, answer in NONSENSE.values():
        provider.honest()
        door.restart()
        provider.answers[path] = answer
        await is_refused(ProviderAway, door, provider)


async def test_metadata_of_another_provider_are_not_this_ones(door: Door, provider: LyingProvider) -> None:
    provider.metadata["issuer"] = "http://elsewhere.test"   # as safe as the true one
    await is_refused(ProviderAway, door, provider)


async def test_nobody_is_followed_elsewhere(door: Door, provider: LyingProvider) -> None:
    there = "/.well-known/openid-configuration"
    provider.answers[there] = lambda: web.Response(status=307, headers={"Location": f"{provider.issuer}/moved"})
    provider.answers["/moved"] = lambda: web.json_response(provider.said_of_itself)
    await is_refused(ProviderAway, door, provider)
    assert provider.asked["/moved"] == 0


async def test_a_provider_that_hangs_is_given_up_in_time(door: Door, provider: LyingProvider) -> None:
    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silence, "127.0.0.1", 0)
    async with server:
        provider.issuer = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        knows(door, provider)
        begun = asyncio.get_running_loop().time()
        with pytest.raises(ProviderAway):
            await door.ask.start_oidc(NOBODY, "harbour")
        assert asyncio.get_running_loop().time() - begun < 2


def test_a_provider_with_https_may_not_send_us_or_anybody_to_where_there_is_none() -> None:
    there = {"issuer": "https://id.test", "authorization_endpoint": "https://id.test/a", "token_endpoint": "https://id.test/t",
             "jwks_uri": "https://id.test/k"}
    assert safe(Metadata(**there))   # type: ignore[arg-type]
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"):
        assert not safe(Metadata(**{**there, name: "http://id.test/"}))   # type: ignore[arg-type]


async def test_a_secret_that_cannot_be_read_shows_as_a_provider_that_is_away(door: Door, provider: LyingProvider) -> None:
    door.settings.oidc["harbour"] = structs.replace(door.settings.oidc["harbour"], secret_file="nowhere")
    door.restart()
    await is_refused(ProviderAway, door, provider)
