"""A provider that is honest until a test makes it lie: any claim, header, key or answer."""
from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from jwt.algorithms import ECAlgorithm

from infirmary.kernel.clock import Clock
from infirmary.settings import OpenIdProvider

CLIENT, SECRET = "infirmary", "what only the two of us know"


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def published(key: EllipticCurvePrivateKey, kid: str, **more: str) -> dict[str, Any]:
    return {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig", **more}


class LyingProvider:
    def __init__(self, clock: Clock) -> None:
        self.clock, self.issuer = clock, ""
        self.key = generate_private_key(SECP256R1())
        self.keys = [published(self.key, "first")]
        self.claims: dict[str, Any] = {}                      # instead of the honest ones; None: left out
        self.header: dict[str, Any] = {}
        self.forged: Callable[[str], str] = lambda token: token   # the last word about the ID token
        self.metadata: dict[str, Any] = {}
        self.answers: dict[str, Callable[[], web.Response]] = {}   # by path, instead of the honest one
        self.userinfo: dict[str, Any] = {}
        self.asked: Counter[str] = Counter()
        self._codes: dict[str, dict[str, Any]] = {}

    def honest(self) -> None:
        """As at the beginning."""
        again = LyingProvider(self.clock)
        self.__dict__ |= {**again.__dict__, "issuer": self.issuer, "asked": self.asked}

    def claims_are(self, claims: dict[str, Any]) -> None:
        self.claims = claims

    def settings(self, secret_file: str, **more: Any) -> OpenIdProvider:
        return OpenIdProvider(**{"name": "Harbour ID", "issuer": self.issuer, "client_id": CLIENT,
                                 "secret_file": secret_file, **more})

    @property
    def said_of_itself(self) -> dict[str, Any]:
        return {"issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize", "jwks_uri": f"{self.issuer}/keys",
                "token_endpoint": f"{self.issuer}/token", "userinfo_endpoint": f"{self.issuer}/userinfo",
                "token_endpoint_auth_methods_supported": ["client_secret_basic"], **self.metadata}

    def signs_in(self, authorization_url: str, subject: str = "ada", **claims: Any) -> dict[str, str]:
        """What the browser is sent back with when somebody signs in there."""
        asked = dict(parse_qsl(urlsplit(authorization_url).query))
        assert asked["response_type"] == "code" and asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(8)
        self._codes[code] = {**asked, "claims": {"sub": subject, **claims}}
        return {"code": code, "state": asked["state"]}

    def token(self, nonce: str, access_token: str, **claims: Any) -> str:
        now = self.clock.now().timestamp()
        half = hashlib.sha256(access_token.encode()).digest()[:16]
        said = {"iss": self.issuer, "aud": CLIENT, "iat": int(now), "exp": int(now) + 300, "nonce": nonce,
                "at_hash": base64url(half), **claims, **self.claims}
        said = {name: value for name, value in said.items() if value is not None}
        return self.forged(jwt.encode(said, self.key, "ES256", headers={"kid": "first", **self.header}))

    def unsigned(self, token: str, header: dict[str, Any], key: bytes | None = None) -> str:
        """The same claims under another header: without a signature, or with an HMAC by this key."""
        signed = f"{base64url(json.dumps(header).encode())}.{token.split('.')[1]}"
        return f"{signed}.{base64url(hmac.digest(key, signed.encode(), 'sha256')) if key is not None else ''}"

    # --- what it answers -------------------------------------------------------------------------------------------

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked[request.path] += 1
        if request.path in self.answers:
            return self.answers[request.path]()
        match request.path:
            case "/.well-known/openid-configuration":
                return web.json_response(self.said_of_itself)
            case "/keys":
                return web.json_response({"keys": self.keys})
            case "/userinfo":
                return web.json_response(self.userinfo)
            case "/token":
                return await self._trade(request)
        return web.Response(status=404)

    async def _trade(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        told = f"{CLIENT}:{SECRET.replace(' ', '+')}".encode()
        if request.headers.get("Authorization") != f"Basic {base64.b64encode(told).decode()}":
            return web.json_response({"error": "invalid_client"}, status=401)
        asked = self._codes.pop(form["code"], None)
        verified = base64url(hashlib.sha256(form["code_verifier"].encode()).digest())
        if asked is None or verified != asked["code_challenge"] or form["redirect_uri"] != asked["redirect_uri"]:
            return web.json_response({"error": "invalid_grant"}, status=400)
        access = secrets.token_urlsafe(8)
        return web.json_response({"id_token": self.token(asked["nonce"], access, **asked["claims"]),
                                  "access_token": access, "token_type": "Bearer"})


def a_secret_in(folder: Path) -> str:
    """The file that holds the client's secret."""
    file = folder / "client-secret"
    file.write_text(SECRET + "\n")
    return str(file)


@contextlib.asynccontextmanager
async def a_provider(clock: Clock, port: int = 0) -> AsyncIterator[LyingProvider]:
    """At work on this machine, in this event loop."""
    made = LyingProvider(clock)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made._answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    made.issuer = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        await runner.cleanup()
