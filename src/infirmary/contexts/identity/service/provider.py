"""A provider of OpenID Connect, asked over HTTP: where to sign in, what a code is worth, and by which keys it signs."""
from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import quote_plus, urlencode

import aiohttp
import jwt
import msgspec
import structlog
from msgspec import Meta, Struct

from infirmary.contexts.identity.contract import ProviderAway
from infirmary.contexts.identity.domain import federation
from infirmary.contexts.identity.domain.federation import IdToken, Untrue
from infirmary.kernel.clock import Clock
from infirmary.kernel.remote import DEADLINE
from infirmary.settings import OpenIdProvider

S = TypeVar("S", bound=Struct)
log = structlog.get_logger()

WITHIN = DEADLINE - .3   # seconds for all that is asked of it at once: whoever asks us waits no longer
LARGEST = 256 * 1024     # bytes of an answer
LONGEST = 16_000         # characters of an ID token
METADATA_KEPT, KEYS_KEPT = timedelta(hours=1), timedelta(minutes=10)
KEYS_AGAIN = timedelta(seconds=10)   # a key that is not known may be a new one; nobody makes us ask more often

Address = Annotated[str, Meta(pattern=r"^https?://[^\s]+$", max_length=2000)]


class Metadata(Struct, frozen=True):
    """OpenID Connect Discovery 1.0, 3."""

    issuer: str
    authorization_endpoint: Address
    token_endpoint: Address
    jwks_uri: Address
    userinfo_endpoint: Address | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class KeySet(Struct, frozen=True):
    keys: list[dict[str, Any]]


class Granted(Struct, frozen=True):
    """What a code is traded for (OpenID Connect Core 1.0, 3.1.3.3)."""

    id_token: Annotated[str, Meta(max_length=LONGEST)]
    access_token: Annotated[str, Meta(max_length=LONGEST)]


class Refused(Struct, frozen=True):
    """RFC 6749, 5.2."""

    error: Annotated[str, Meta(max_length=60)]


class Provider:
    """Raises ProviderAway when it does not answer in time or not as the standard has it, Untrue when what it says is not
    to be believed."""

    def __init__(self, settings: OpenIdProvider, clock: Clock) -> None:
        self.settings, self._clock = settings, clock
        self._metadata: tuple[datetime, Metadata] | None = None
        self._keys: tuple[datetime, list[dict[str, Any]]] | None = None

    async def authorization_url(self, **asked: str) -> str:
        """Where the browser goes: `asked` are the parameters of this trip."""
        async with _line() as line:
            where = (await self._where(line)).authorization_endpoint
        return f"{where}{'&' if '?' in where else '?'}" + urlencode({
            "response_type": "code", "client_id": self.settings.client_id, "scope": "openid email profile", **asked})

    async def proven(self, code: str, *, said_issuer: str, verifier: str, nonce: str, redirect_uri: str,
                     ) -> tuple[IdToken, Mapping[str, Any]]:
        """Who brings this code: the claims that decide, and all there are."""
        async with _line() as line:
            where = await self._where(line)
            if said_issuer != where.issuer and (said_issuer or where.authorization_response_iss_parameter_supported):
                raise Untrue("answer of another provider")   # mixed up on purpose (RFC 9207)
            granted = await self._traded(line, where, {
                "grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, "code_verifier": verifier})
            algorithm, claims = await self._signed(line, where, granted.id_token)
            token = federation.id_token(
                claims, issuer=self.settings.issuer, client_id=self.settings.client_id, nonce=nonce,
                access_token=granted.access_token, algorithm=algorithm, now=self._clock.now())
            if "email" not in claims and where.userinfo_endpoint:
                claims = {**claims, **await self._more(line, where.userinfo_endpoint, granted.access_token, token.sub)}
            return token, claims

    async def _where(self, line: _Line) -> Metadata:
        now, issuer = self._clock.now(), self.settings.issuer
        if self._metadata is None or now - self._metadata[0] > METADATA_KEPT:
            status, raw = await line.get(issuer.removesuffix("/") + "/.well-known/openid-configuration")
            found = _read(raw, Metadata) if status == 200 else None
            if found is None or found.issuer != issuer or not safe(found):
                log.error("provider_metadata_unusable", issuer=issuer, status=status)
                raise ProviderAway
            self._metadata = now, found
        return self._metadata[1]

    async def _traded(self, line: _Line, where: Metadata, form: dict[str, str]) -> Granted:
        secret, client_id = self._secret(), self.settings.client_id
        headers = {}
        if "client_secret_basic" in where.token_endpoint_auth_methods_supported:
            headers["Authorization"] = aiohttp.encode_basic_auth(quote_plus(client_id), quote_plus(secret))
        else:
            form = {**form, "client_id": client_id, "client_secret": secret}
        status, raw = await line.post(where.token_endpoint, form, headers)
        if status == 200:
            return _read(raw, Granted)
        if status == 400 and _read(raw, Refused).error == "invalid_grant":
            raise Untrue("code")
        log.error("provider_refuses_us", issuer=self.settings.issuer, status=status)
        raise ProviderAway

    async def _signed(self, line: _Line, where: Metadata, token: str) -> tuple[str, dict[str, Any]]:
        """By which algorithm, and the claims; the keys are fetched again for one that is not known."""
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError as error:
            raise Untrue("no token") from error
        algorithm, kid = str(header.get("alg")), header.get("kid")
        if algorithm not in federation.ALGORITHMS:
            raise Untrue("algorithm")
        for key in await self._keys_for(line, where, algorithm, kid):
            try:
                return algorithm, jwt.decode(token, jwt.PyJWK(key, algorithm), algorithms=[algorithm], options={
                    "verify_signature": True, "enforce_minimum_key_length": True, "verify_exp": False,   # looked at
                    "verify_iat": False, "verify_nbf": False, "verify_aud": False, "verify_iss": False,   # in the
                    "verify_sub": False, "verify_jti": False})                                            # domain
            except (jwt.PyJWTError, ValueError):
                continue
        raise Untrue("signature")

    async def _keys_for(self, line: _Line, where: Metadata, algorithm: str, kid: str | None) -> list[dict[str, Any]]:
        now, found = self._clock.now(), list[dict[str, Any]]()
        if self._keys is not None and now - self._keys[0] <= KEYS_KEPT:
            found = [key for key in self._keys[1] if federation.fits(key, algorithm=algorithm, kid=kid)]
            if found or now - self._keys[0] < KEYS_AGAIN:
                return found
        status, raw = await line.get(where.jwks_uri)
        if status != 200:
            raise ProviderAway
        self._keys = now, _read(raw, KeySet).keys
        return [key for key in self._keys[1] if federation.fits(key, algorithm=algorithm, kid=kid)]

    async def _more(self, line: _Line, address: str, access_token: str, subject: str) -> dict[str, Any]:
        """What is not in the ID token, if it is about the same person (OpenID Connect Core 1.0, 5.3.2)."""
        status, raw = await line.get(address, {"Authorization": f"Bearer {access_token}"})
        try:
            said = msgspec.json.decode(raw, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError):   # a signed answer, say: then a form is filled in by hand
            return {}
        return said if status == 200 and said.get("sub") == subject else {}

    def _secret(self) -> str:
        """Read each time: a new one counts without a restart."""
        try:
            return Path(self.settings.secret_file).read_text().strip()
        except OSError as error:
            log.error("provider_secret_unreadable", issuer=self.settings.issuer)
            raise ProviderAway from error


def safe(where: Metadata) -> bool:
    """Whether nobody is sent from a secure address to one that is not."""
    named = where.authorization_endpoint, where.token_endpoint, where.jwks_uri, where.userinfo_endpoint or where.issuer
    return where.issuer.startswith("http://") or all(one.startswith("https://") for one in named)


class _Line:
    """A line to the provider for one conversation. Nobody is followed elsewhere."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http

    async def get(self, address: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        return await self._ask("GET", address, headers=headers)

    async def post(self, address: str, form: Mapping[str, str], headers: Mapping[str, str]) -> tuple[int, bytes]:
        return await self._ask("POST", address, data=form, headers=headers)

    async def _ask(self, verb: str, address: str, **sent: Any) -> tuple[int, bytes]:
        try:
            async with self._http.request(verb, address, allow_redirects=False, **sent) as reply:
                raw = bytearray()
                async for chunk in reply.content.iter_any():
                    raw += chunk
                    if len(raw) > LARGEST:
                        raise ProviderAway
                return reply.status, bytes(raw)
        except (aiohttp.ClientError, ValueError) as error:
            raise ProviderAway from error


@contextlib.asynccontextmanager
async def _line() -> AsyncIterator[_Line]:
    """One that ends in time."""
    try:
        async with asyncio.timeout(WITHIN), aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
            yield _Line(http)
    except TimeoutError as error:
        raise ProviderAway from error


def _read(raw: bytes, into: type[S]) -> S:
    try:
        return msgspec.json.decode(raw, type=into)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProviderAway from error
