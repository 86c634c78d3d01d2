"""Nonsense below the level of operations, sent as bytes to the server that people run: heads, verbs, paths, lengths."""
from __future__ import annotations

from collections.abc import Iterator

import pytest

from infirmary.language import Role
from tests.hospital import running, settings_for, token

from .wire import exchanged, request


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, bytes]]:
    """Where it listens, and the bearer token of an administrator."""
    settings = settings_for(tmp_path_factory.mktemp("wire"))
    with running(settings) as started:
        yield started.base, f"Bearer {token(settings, Role.ADMIN)}".encode()


VERBS = ("HEAD", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "PURGE", "FOO", "get", "GE T", "G\x00T", "X" * 300, "")
PATHS = ("/", "//", "/api", "/api/v1", "/api/v1/", "/api/v1//doctors", "/api/v1/doctors/", "/api/v1/../v1/doctors",
         "/API/v1/doctors",
         "/api/v1/%2e%2e/health/live", "/api/v1/doctors/%00", "/api/v1/doctors/%ff%fe", "/api/v1/doctors/%ed%a0%80",
         "/api/v1/doctors/..%2f..%2fetc%2fpasswd", "/static/..%2f..%2fpyproject.toml", "/static/../../../../etc/passwd",
         "/static/%2e%2e/%2e%2e/app.py", "/.env", "/.git/config", "/metrics/../metrics", "/%", "/%zz", "/a" * 3_000,
         "*", "", "http://evil.test/api/v1/doctors", "/api/v1/doctors?" + "a=b&" * 5_000, "/api/v1/doctors?\xff", "/\xe9",
         "/ /", "/#x", "/;jsessionid=1")
HOSTS = ("evil.test", "", "evil.test:99999", "127.0.0.1\x00", "a" * 5_000, "[::1", "127.0.0.1, evil.test",
         "https://evil.test/")


def heads() -> Iterator[tuple[tuple[str, bytes], ...]]:
    yield (("X-Filler", b"x" * 20_000),)
    yield (("X-Filler", b"x" * 200_000),)
    yield tuple((f"X-{at}", b"y") for at in range(2_000))
    yield (("Cookie", b"a=b; " * 10_000),)
    yield (("Cookie", b'__Host-access="\\"; ;;=;\xff\xfe; toast=%00; access=x'),)
    yield (("Accept-Language", b"xx-" + b"a-" * 2_000 + b";q=\xff, *;q=NaN, ;;;,,,en;q=9999999"),)
    yield (("Accept", b"*/*;q=x, \xff"), ("Accept-Encoding", b"gzip;q=x, \x01"))
    yield (("Content-Type", b"application/json; charset=\xff"),)
    yield (("X-Request-Id", b'../../etc/passwd" onload=x'), ("X-Forwarded-For", b"\xff, , evil"),
           ("Forwarded", b"for=evil"))
    yield (("If-Match", b'"' + b"9" * 5_000 + b'"'), ("Idempotency-Key", b"\xff" * 100))
    yield (("Content-Length", b"-1"),)
    yield (("Content-Length", b"99999999999999999999"),)
    yield (("Content-Length", b"5"), ("Content-Length", b"6"))
    yield (("Transfer-Encoding", b"chunked"), ("Content-Length", b"5"))
    yield (("Transfer-Encoding", b"chunked, identity"),)
    yield (("Expect", b"100-continue"), ("Range", b"bytes=0-,5-1"), ("Upgrade", b"websocket"),
           ("Connection", b"Upgrade"))
    yield (("X-HTTP-Method-Override", b"DELETE"), ("X-Original-URL", b"/metrics"), ("X-Rewrite-URL", b"/metrics"))
    yield (("Bad Name", b"x"),)
    yield (("X-Two\r\nLines", b"x"),)


async def answered(hospital: tuple[str, bytes], raw: bytes, what: object) -> tuple[int, bytes]:
    status, answer = await exchanged(hospital[0], raw)
    assert status < 500, (what, answer[:300])
    assert b"Traceback" not in answer
    assert b"root:" not in answer
    return status, answer


async def test_strange_verbs(hospital: tuple[str, bytes]) -> None:
    for verb in VERBS:
        for path in ("/", "/api/v1/doctors", "/health/live", "/static/x", "/api/v1/accounts"):
            asked = request(verb, path, headers=(("Authorization", hospital[1]),))
            status, _ = await answered(hospital, asked, (verb, path))
            assert verb in ("HEAD", "OPTIONS", "get") or status in (0, 400, 404, 405, 501), (verb, path, status)


async def test_strange_paths(hospital: tuple[str, bytes]) -> None:
    for path in PATHS:
        _, answer = await answered(hospital, request("GET", path), path[:100])
        assert b"[build-system]" not in answer


async def test_a_strange_host_is_not_believed(hospital: tuple[str, bytes]) -> None:
    for host in HOSTS:
        for path in ("/", "/sign-in", "/home", "/api/v1/doctors", "/api/v1/.well-known/openid-configuration",
                     "/.well-known/openid-configuration"):
            _, answer = await answered(hospital, request("GET", path, host=host), (host[:50], path))
            assert b"evil" not in answer, (host, path, answer[:500])


async def test_strange_heads(hospital: tuple[str, bytes]) -> None:
    for headers in heads():
        for verb, path in (("GET", "/api/v1/doctors"), ("GET", "/sign-in"), ("GET", "/"),
                           ("POST", "/api/v1/departments"), ("POST", "/sign-in")):
            asked = request(verb, path, headers=(("Authorization", hospital[1]), *headers))
            await answered(hospital, asked, (path, headers[0]))


async def test_what_is_no_http_at_all(hospital: tuple[str, bytes]) -> None:
    close = b"Host: x\r\nConnection: close\r\n"
    for raw in (b"\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"GET /\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                b"\x00" * 1_000 + b"\r\n\r\n",
                b"POST /api/v1/departments HTTP/1.1\r\n" + close + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
                b"GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\nConnection: close\r\n\r\n"):
        await answered(hospital, raw, raw[:40])


async def test_it_still_works_afterwards(hospital: tuple[str, bytes]) -> None:
    assert (await exchanged(hospital[0], request("GET", "/health/ready")))[0] == 200
    asked = request("GET", "/api/v1/accounts", headers=(("Authorization", hospital[1]),))
    assert (await exchanged(hospital[0], asked))[0] == 200
