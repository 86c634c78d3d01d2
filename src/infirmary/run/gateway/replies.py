"""What the gateway says itself: the same problem documents that a service would answer with."""
from __future__ import annotations

from typing import Any

from infirmary.kernel.errors import Malformed, NoSuchPath, NotSignedIn, Refusal, TooLarge, TooManyTries, Unavailable
from infirmary.kernel.http import SECURITY

UNKNOWN_OUTCOME = "We cannot tell whether this was done. Ask again with the same Idempotency-Key, or look."
NO_KEYS = "Sign-ins cannot be checked just now. Nothing was lost; try again shortly."
SENT_THEN_LOST = ["UC", "UR", "UT", "UPE"]   # connection ended, reset, timed out, broken answer
SAFE = ("GET", "HEAD", "OPTIONS")


def local_replies(retry_after: int) -> dict[str, Any]:
    """`local_reply_config`: the first that fits is taken. `retry_after` is for those who ask too often."""
    return {"mappers": [
        # A key set that could not be fetched says nothing about the token.
        _mapper(_both(_status("GE", 401), _status("LE", 403), _details("Jwks_remote_fetch")), Unavailable(NO_KEYS)),
        _mapper(_both(_status("GE", 401), _status("LE", 403)), NotSignedIn(), {"WWW-Authenticate": "Bearer"}),
        _mapper(_status("EQ", 404), NoSuchPath()),
        _mapper(_status("EQ", 413), TooLarge()),
        _mapper(_status("EQ", 429), TooManyTries(retry_after=retry_after)),
        *(_mapper(_both(_status("EQ", 504) if status == 504 else _status("GE", 500), _sent(), *map(_not, SAFE)),
                  Unavailable(UNKNOWN_OUTCOME), status=status) for status in (504, 503)),
        _mapper(_status("EQ", 504), Unavailable(), status=504),
        _mapper(_status("GE", 500), Unavailable()),
        _mapper(_status("GE", 400), Malformed(), request_id=""),   # it was refused before it had an id
    ]}


def _mapper(when: dict[str, Any], refusal: Refusal, headers: dict[str, str] | None = None, *, status: int = 0,
            request_id: str = "%REQ(X-REQUEST-ID)%") -> dict[str, Any]:
    status = status or refusal.status
    more = {"Cache-Control": "no-store", **SECURITY, **(headers or {})}
    if status in (429, 503, 504):
        more["Retry-After"] = str(refusal.retry_after or 1)
    return {
        "filter": when, "status_code": status,
        "headers_to_add": [{"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
                           for name, value in more.items()],
        "body_format_override": {
            "json_format": {**refusal.problem(request_id), "status": status},
            "content_type": "application/problem+json"},
    }


def _both(*filters: dict[str, Any]) -> dict[str, Any]:
    return {"and_filter": {"filters": list(filters)}}


def _status(comparison: str, status: int) -> dict[str, Any]:
    return {"status_code_filter": {"comparison": {
        "op": comparison, "value": {"default_value": status, "runtime_key": "none"}}}}   # a key it must have


def _sent() -> dict[str, Any]:
    return {"response_flag_filter": {"flags": SENT_THEN_LOST}}


def _not(method: str) -> dict[str, Any]:
    return {"header_filter": {"header": {"name": ":method", "string_match": {"exact": method}, "invert_match": True}}}


def _details(text: str) -> dict[str, Any]:
    return {"extension_filter": {"name": "envoy.access_loggers.extension_filters.cel", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
        "expression": f"response.code_details.contains('{text}')"}}}
