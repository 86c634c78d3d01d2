"""The gateway's part of a trace: its span is the first, and the services' spans are its children."""
from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from .filters import TYPE

CLUSTER = "traces"
# What Envoy would say of each request and is people's: what they ask for, from where and with what.
SILENT = ("http.url", "peer.address", "user_agent")


class Traces(Struct, frozen=True, kw_only=True):
    """Where they go (http://host:port, OTLP), and how many of all are kept (0 to 1)."""

    collector: str
    share: float


def tracing(traces: Traces) -> dict[str, Any]:
    return {
        "provider": {"name": "envoy.tracers.opentelemetry", "typed_config": {
            "@type": f"{TYPE}envoy.config.trace.v3.OpenTelemetryConfig", "service_name": "infirmary-gateway",
            "http_service": {"http_uri": {"uri": f"{traces.collector}/v1/traces", "cluster": CLUSTER, "timeout": "3s"}},
            # Not by the request's id, as Envoy would: clients choose it. What is not kept is told to be not kept.
            "sampler": {"name": "envoy.tracers.opentelemetry.samplers.trace_id_ratio_based", "typed_config": {
                "@type": f"{TYPE}envoy.extensions.tracers.opentelemetry.samplers.v3.TraceIdRatioBasedSamplerConfig",
                "sampling_percentage": {"numerator": round(traces.share * 1_000_000), "denominator": "MILLION"}}}}},
        "client_sampling": {"value": 0}, "random_sampling": {"value": 100},
        "operation": "%ROUTE_NAME%", "max_path_tag_length": 0,
        "custom_tags": [{"tag": name, "literal": {"value": "-"}} for name in SILENT]}


def collector(traces: Traces) -> dict[str, Any]:
    """As a cluster of its own, by name or address."""
    url = urlsplit(traces.collector)
    return {
        "name": CLUSTER, "type": "STRICT_DNS", "connect_timeout": "1s",
        "load_assignment": {"cluster_name": CLUSTER, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {
            "socket_address": {"address": url.hostname, "port_value": url.port or 80}}}}]}]}}
