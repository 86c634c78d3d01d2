"""What a request looks like on the other side of the gateway, and what the gateway answers itself."""
from __future__ import annotations

import asyncio
import json
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from infirmary.kernel.clock import HeldClock, SystemClock
from infirmary.kernel.errors import Malformed, NoSuchPath, NotSignedIn, Refusal, TooManyTries, Unavailable
from infirmary.kernel.http import SECURITY
from infirmary.kernel.tokens import KeyRing, Signer
from infirmary.run.gateway.configuration import bootstrap, endpoints, file_of
from infirmary.run.gateway.filters import Rate
from infirmary.run.gateway.routes import services_of
from tests.serving import serving

from .conftest import CONTRACTS, ISSUER, Door, a_gateway, a_gateway_process, free_port
from .upstream import upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")
MINE = "/api/v1/appointments"


def a_token(ring: KeyRing, *, issuer: str = ISSUER, audience: str = "infirmary", ago: timedelta = timedelta()) -> str:
    clock = HeldClock(datetime.now(UTC) - ago)
    ring = KeyRing(ring._folder, SystemClock())
    return Signer(ring, issuer=issuer, audience=audience, clock=clock).sign(
        account_id=uuid4(), session_id=uuid4(), name="Pat", roles=["patient"], subjects={})


def bearer(token: str) -> dict[str, Any]:
    return {"headers": {"Authorization": f"Bearer {token}"}}


def expect(answer: tuple[int, Any, Any], refusal: Refusal, *, status: int = 0, request_id: str | None = None) -> None:
    """The refusal as a service would have put it."""
    got, headers, body = answer
    wanted = refusal.problem(request_id if request_id is not None else headers["X-Request-Id"])
    assert (got, body) == (status or refusal.status, {**wanted, "status": status or refusal.status})
    assert headers["Content-Type"] == "application/problem+json"
    assert headers.items() >= {**SECURITY, "Cache-Control": "no-store"}.items()
    assert "Server" not in headers


@pytest.mark.parametrize("secure", [False, True])
async def test_envoy_accepts_the_configuration(installed, tmp_path, secure):
    certificate = a_certificate(tmp_path) if secure else None
    made = bootstrap(CONTRACTS, listen_host="127.0.0.1", port=free_port(), admin_port=0, folder=tmp_path,
                     issuer=ISSUER, certificate=certificate, rate=Rate())
    (tmp_path / "envoy.json").write_text(json.dumps(made))
    (tmp_path / "endpoints").mkdir()
    for service in services_of(CONTRACTS):   # it looks whether they are there
        file_of(service, tmp_path).write_text(json.dumps(endpoints(service, [])))
    checking = await asyncio.create_subprocess_exec(
        installed, "--mode", "validate", "-c", str(tmp_path / "envoy.json"), "--disable-hot-restart", "--log-level",
        "error", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    said, _ = await checking.communicate()
    assert checking.returncode == 0, said.decode()


async def test_each_request_reaches_the_service_that_answers_it(door: Door):
    for path, service in [("/api/v1/auth/me", "identity"), ("/api/v1/patients", "patients"), ("/api/v1/slots", "appointments"),
                          ("/api/v1/doctors", "staff"), ("/api/v1/notifications/unread", "notifications"),
                          ("/api/v1/audit-events", "audit"), ("/api/v1/dashboards/hospital", "reports"),
                          ("/api/v1/system/services", "identity"), ("/sign-in", "web"), ("/api/v1/openapi.json", "web")]:
        status, headers, body = await door.ask(path)
        assert (status, body["service"]) == (200, service)
        assert "Server" not in headers
        assert not [name for name in headers if name.lower().startswith("x-envoy")]


async def test_what_only_the_gateway_may_say_does_not_come_from_outside(door: Door):
    given = {"X-Forwarded-For": "203.0.113.9, 10.0.0.1", "Forwarded": "for=203.0.113.9", "X-Real-IP": "203.0.113.9",
             "X-Infirmary-Account": "admin", "x-infirmary-roles": "admin", "X_Infirmary_Roles": "admin",
             "X-Forwarded-Host": "evil.test", "X-Envoy-Retry-On": "5xx", "X-Envoy-Upstream-Rq-Timeout-Ms": "1",
             "X-Envoy-Original-Path": "/metrics", "Accept-Language": "de"}
    _, _, body = await door.ask("/api/v1/slots", headers=given)
    arrived = [name for name, _ in body["headers"]]
    headers = dict(body["headers"])
    assert headers["x-forwarded-for"] == "127.0.0.1" and arrived.count("x-forwarded-for") == 1
    assert headers["accept-language"] == "de"
    assert not {"forwarded", "x-real-ip", "x-forwarded-host", "x_infirmary_roles"} & set(arrived)
    assert not [name for name in arrived if name.startswith("x-infirmary") or name in {
        "x-envoy-retry-on", "x-envoy-upstream-rq-timeout-ms", "x-envoy-original-path"}]


async def test_a_request_id_like_ours_is_kept_and_any_other_replaced(door: Door):
    for given, kept in [("abcdefgh-1234", True), ("A" * 64, True), ("short", False), ("A" * 65, False),
                        ("has space in it", False), ('"}{"x":1,"y":2', False), (None, False)]:
        _, headers, body = await door.ask("/api/v1/slots", headers={"X-Request-Id": given} if given else {})
        arrived = dict(body["headers"])["x-request-id"]
        assert headers.getall("X-Request-Id") == [arrived]
        assert (arrived == given) is kept
        assert 8 <= len(arrived) <= 64


async def test_hidden_and_unknown_addresses_are_404_in_our_words(door: Door):
    for path in ("/api/v1/appointments/open", "/api/v1/auth/revocations", "/api/v1/nothing", "/.well-known/nothing",
                 "/metrics", "/health/else", "//api//v1/appointments/open", "/api/v1/x/../appointments/open"):
        expect(await door.ask(path), NoSuchPath())
    assert (await door.ask("/health/live"))[0::2] == (200, {"status": "ok", "checks": {}})
    async with door.http.get(door.url + "/health/ready") as answer:
        assert answer.status == 200


@pytest.mark.parametrize("path", [b"/api/v1/appointments/%6fpen", b"/%6detrics", b"/api/v1/appointments/ope%6E"])
async def test_a_second_spelling_reaches_nothing(door: Door, path):
    answer = await raw(door, b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 404 ") and b"no_such_path" in answer


async def test_a_slash_in_disguise_is_refused(door: Door):
    answer = await raw(door, b"GET /api/v1/patients%2fmatches HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == Malformed().problem()


async def raw(door: Door, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(door.url.rpartition(":")[2]))
    writer.write(request)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_a_good_token_is_passed_on_and_a_bad_one_is_401(door: Door, ring: KeyRing, tmp_path: Path):
    token = a_token(ring)
    async with asyncio.timeout(5):   # the key set is fetched a moment after the start
        while (answer := await door.ask(MINE, **bearer(token)))[0] == 503:
            await asyncio.sleep(.05)
    assert dict(answer[2]["headers"])["authorization"] == f"Bearer {token}"
    assert (await door.ask(MINE))[0] == 200   # whether one is needed, services know
    head, body, seal = token.split(".")
    stranger = KeyRing(tmp_path / "stranger", SystemClock())
    for bad in ("nonsense", f"{head}.{body}.{seal[:-4]}AAAA", a_token(stranger), a_token(ring, issuer="http://evil.test"),
                a_token(ring, audience="infirmary-services"), a_token(ring, ago=timedelta(minutes=12))):
        answer = await door.ask(MINE, **bearer(bad))
        expect(answer, NotSignedIn())
        assert answer[1]["WWW-Authenticate"] == "Bearer"
    assert (await door.ask("/diary", **bearer("nonsense")))[0] == 200   # pages have cookies


async def test_without_the_key_set_a_token_is_503_and_never_401(installed, tmp_path, ring):
    async with serving(upstream("appointments")) as url, a_gateway(tmp_path / "g", {"appointments": [url]}) as door:
        answer = await door.ask(MINE, **bearer(a_token(ring)))
        expect(answer, Unavailable("Sign-ins cannot be checked just now. Nothing was lost; try again shortly."))
        assert answer[1]["Retry-After"] == "1"
        assert (await door.ask(MINE))[0] == 200


async def test_a_service_that_nobody_runs_is_503_with_retry_after(installed, tmp_path):
    async with a_gateway(tmp_path, {}) as door:
        for path in ("/", MINE):
            answer = await door.ask(path)
            expect(answer, Unavailable())
            assert answer[1]["Retry-After"] == "1"


async def test_who_asks_too_often_is_429_with_retry_after(installed, tmp_path):
    rate = Rate(requests=1, per_seconds=2, burst=20)
    async with serving(upstream("web")) as url, a_gateway(tmp_path, {"web": [url]}, rate=rate) as door:
        answers = [await door.ask("/page") for _ in range(30)]
        assert 17 <= [status for status, *_ in answers].count(200) <= 20
        refused = next(answer for answer in answers if answer[0] == 429)
        expect(refused, TooManyTries())
        assert refused[1]["Retry-After"] == "2"
        # Another address of this machine is another client.
        elsewhere = await asyncio.open_connection("127.0.0.1", int(door.url.rpartition(":")[2]), local_addr=("127.0.0.2", 0))
        elsewhere[1].write(b"GET /page HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await elsewhere[0].read()).startswith(b"HTTP/1.1 200 ")
        elsewhere[1].close()
        await elsewhere[1].wait_closed()


@pytest.mark.parametrize("path", ["/notifications/stream", "/api/v1/notifications/stream"])
async def test_a_stream_arrives_as_it_is_told(door: Door, path):
    loop = asyncio.get_running_loop()
    async with door.http.get(door.url + path) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        at = [loop.time() async for chunk in answer.content.iter_any() if chunk]
    assert len(at) == 3 and at[-1] - at[0] > .4


async def test_over_tls_both_http_versions_are_offered_and_browsers_told_to_stay(installed, tmp_path):
    certificate = a_certificate(tmp_path)
    async with serving(upstream("web")) as url, \
            a_gateway(tmp_path / "g", {"web": [url]}, certificate=certificate) as door:
        status, headers, body = await door.ask("/page")
        assert (status, body["service"]) == (200, "web")
        assert dict(body["headers"])["x-forwarded-proto"] == "https"
        assert headers["Strict-Transport-Security"] == "max-age=31536000"
        for offered in ("h2", "http/1.1"):
            trust = ssl.create_default_context(cafile=str(certificate[0]))
            trust.set_alpn_protocols([offered])
            _, writer = await asyncio.open_connection(
                "127.0.0.1", int(door.url.rpartition(":")[2]), ssl=trust, server_hostname="localhost")
            assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == offered
            writer.close()
            await writer.wait_closed()


def a_certificate(folder: Path) -> tuple[Path, Path]:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .sign(key, hashes.SHA256()))
    (folder / "tls.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "tls.key").write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return folder / "tls.crt", folder / "tls.key"


async def test_the_log_names_the_operation_and_neither_address_nor_secret(installed, tmp_path, ring):
    secret, token = str(uuid4()), a_token(ring)
    given = {"X-Request-Id": "findme-in-the-log", "Authorization": f"Bearer {token}", "Cookie": f"session={secret}"}
    async with a_gateway_process(tmp_path) as (_, url), aiohttp.ClientSession(url) as http:
        await (await http.get(f"/api/v1/patients/{secret}", params={"q": secret}, headers=given)).read()
    said = (tmp_path / "said").read_text()
    line = next(json.loads(one) for one in said.splitlines() if "findme-in-the-log" in one)
    assert (line["operation"], line["method"], line["status"], line["flags"]) == ("patients.patient", "GET", 503, "-")
    assert {"ms", "service", "timestamp", "level", "event"} <= line.keys()
    assert secret not in said and token not in said
