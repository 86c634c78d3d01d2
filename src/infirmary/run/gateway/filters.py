"""What every request passes before it is sent on: its headers, how often its sender asks, and its token."""
from __future__ import annotations

from typing import Any

from msgspec import Struct

AUDIENCE = "infirmary"
KEYS_KEPT = "300s"   # half of how long a key is published before it signs (kernel/tokens.py)
CLIENTS_REMEMBERED = 10_000
TYPE = "type.googleapis.com/"
FILTERS = f"{TYPE}envoy.extensions.filters.http"
ALWAYS = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
FROM_A_PROXY = ("x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "forwarded", "x-real-ip",
                "x-client-ip", "true-client-ip", "x-original-url", "x-rewrite-url")
FROM_A_TRACE = ("traceparent", "tracestate", "b3", "x-client-trace-id")   # traces begin here
FROM_US = ("x-infirmary-", "x-envoy-")
KEPT_ID = "x-infirmary-request-id"
# As kernel/http.py reads it; its bounds stand outside because {8,64} is too large a pattern for CEL. What is none of
# ours is forgotten, and Envoy makes a new one.
_GIVEN_ID = "request.headers['x-request-id']"
OUR_ID = (f"{_GIVEN_ID}.matches('^[A-Za-z0-9-]+$') && size({_GIVEN_ID}) >= 8 && size({_GIVEN_ID}) <= 64"
          f" ? {_GIVEN_ID} : ''")


class Rate(Struct, frozen=True, kw_only=True):
    """How much one client address may ask: so many requests in so many seconds, and `burst` saved up at most."""

    requests: int = 200
    per_seconds: float = 1
    burst: int = 1000


def given_headers() -> dict[str, Any]:
    """Before anything looks at a request: what only we may say is taken out, and we say who asks."""
    def put(name: str, value: str) -> dict[str, Any]:
        return {"append": {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}

    return {"name": "given-headers", "typed_config": {
        "@type": f"{TYPE}envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
        "mutations": [
            *({"remove_on_match": {"key_matcher": {"prefix": prefix, "ignore_case": True}}} for prefix in FROM_US),
            *({"remove": name} for name in (*FROM_A_PROXY, *FROM_A_TRACE)),
            put("x-forwarded-for", "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"),
            put(KEPT_ID, f"%CEL({OUR_ID})%"), {"remove": "x-request-id"},
            put("x-request-id", f"%REQ({KEPT_ID})%"), {"remove": KEPT_ID},
        ]}}


def ready() -> dict[str, Any]:
    """/health/ready is the gateway's own, and 503 as soon as it is about to stop."""
    return {"name": "ready", "typed_config": {
        "@type": f"{FILTERS}.health_check.v3.HealthCheck", "pass_through_mode": False,
        "headers": [{"name": ":path", "string_match": {"exact": "/health/ready"}}]}}


def limit(rate: Rate) -> dict[str, Any]:
    """A bucket for each client address; those who have not asked for longest are forgotten first."""
    interval = f"{rate.per_seconds:g}s"
    return {"name": "limit", "typed_config": {
        "@type": f"{FILTERS}.local_ratelimit.v3.LocalRateLimit", "stat_prefix": "clients",
        "filter_enabled": ALWAYS, "filter_enforced": ALWAYS,
        # An IPv6 customer has a whole /64.
        "rate_limits": [{"actions": [{"masked_remote_address": {"v4_prefix_mask_len": 32, "v6_prefix_mask_len": 64}}]}],
        "descriptors": [{"entries": [{"key": "masked_remote_address"}],
                         "token_bucket": {"max_tokens": max(rate.burst, rate.requests), "tokens_per_fill": rate.requests,
                                          "fill_interval": interval}}],
        "max_dynamic_descriptors": CLIENTS_REMEMBERED,
        # Only for a request without an address, of which there are none.
        "token_bucket": {"max_tokens": 1, "tokens_per_fill": 1, "fill_interval": interval},
        "always_consume_default_token_bucket": False}}


def tokens(issuer: str) -> dict[str, Any]:
    """A token that is there must be good. Whether one is needed, and whether it was revoked, the services know, and
    they look at it again. Pages have cookies, which are none of ours."""
    return {"name": "tokens", "typed_config": {
        "@type": f"{FILTERS}.jwt_authn.v3.JwtAuthentication",
        "providers": {"identity": {
            "issuer": issuer, "audiences": [AUDIENCE], "forward": True,
            "from_headers": [{"name": "Authorization", "value_prefix": "Bearer "}],
            "jwt_cache_config": {"jwt_cache_size": 1000, "jwt_max_token_size": 4096},
            "remote_jwks": {
                "http_uri": {"uri": "http://identity/.well-known/jwks.json", "cluster": "identity", "timeout": "2s"},
                "cache_duration": KEYS_KEPT,
                "async_fetch": {"fast_listener": True, "failed_refetch_duration": "1s"}}}},
        "rules": [{"match": {"prefix": "/api/v1/"},
                   "requires": {"requires_any": {"requirements": [{"provider_name": "identity"}, {"allow_missing": {}}]}}}]}}


def access_log() -> dict[str, Any]:
    """One line per request: the operation, not the address, because addresses carry ids."""
    return {"name": "stdout", "typed_config": {
        "@type": f"{TYPE}envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
        "log_format": {"json_format": {
            "timestamp": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%", "level": "info", "event": "gateway_request",
            "operation": "%ROUTE_NAME%", "method": "%REQ(:METHOD)%", "status": "%RESPONSE_CODE%", "ms": "%DURATION%",
            "request_id": "%REQ(X-REQUEST-ID)%", "service": "%UPSTREAM_CLUSTER%", "flags": "%RESPONSE_FLAGS%",
            "tries": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%"}}}}
