"""Envoy's configuration as values: what the contracts declare and the registry knows, and nothing else."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from math import ceil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infirmary.kernel.contract import Contract
from infirmary.kernel.registry import Instance

from .filters import FILTERS, TYPE, Rate, access_log, given_headers, limit, ready, tokens
from .replies import local_replies
from .routes import routes, services_of
from .traces import Traces, collector, tracing

IDLE_UPSTREAM = "4s"      # shorter than any server of ours keeps a silent connection, so we are the one who hangs up
CONNECTIONS = 10_000


def bootstrap(contracts: Sequence[type[Contract]], *, listen_host: str, port: int, admin_port: int, folder: Path,
              issuer: str, certificate: tuple[Path, Path] | None = None, rate: Rate,
              traces: Traces | None = None) -> dict[str, Any]:
    """All that Envoy reads at its start. Endpoints come later, as files in `folder`/endpoints."""
    return {
        "node": {"id": "gateway", "cluster": "infirmary"},
        "admin": {"address": _address("127.0.0.1", admin_port)},
        "static_resources": {
            "listeners": [_listener(contracts, _address(listen_host, port), issuer, certificate, rate, traces)],
            "clusters": [*(_cluster(service, folder) for service in services_of(contracts)),
                         *([collector(traces)] if traces else [])],
        },
        "overload_manager": {"resource_monitors": [{
            "name": "envoy.resource_monitors.global_downstream_max_connections", "typed_config": {
                "@type": f"{TYPE}envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                "max_active_downstream_connections": CONNECTIONS}}]},
    }


def endpoints(service: str, instances: Iterable[Instance]) -> dict[str, Any]:
    """The file that says where a service answers. Hosts must be addresses, not names."""
    at = [urlsplit(instance.url) for instance in instances]
    found = sorted({(url.hostname or "", url.port or 80) for url in at})
    for host, _ in found:
        ip_address(host)   # Envoy would refuse the whole file
    return {"resources": [{
        "@type": f"{TYPE}envoy.config.endpoint.v3.ClusterLoadAssignment", "cluster_name": service,
        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(host, port)}} for host, port in found]}]}]}


def file_of(service: str, folder: Path) -> Path:
    return folder / "endpoints" / f"{service}.json"


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def _listener(contracts: Sequence[type[Contract]], address: dict[str, Any], issuer: str,
              certificate: tuple[Path, Path] | None, rate: Rate, traces: Traces | None) -> dict[str, Any]:
    chain: dict[str, Any] = {"filters": [{"name": "http", "typed_config": _http(
        contracts, issuer, rate, traces, secure=certificate is not None)}]}
    if certificate is not None:
        chain["transport_socket"] = _tls(*certificate)
    return {"name": "door", "address": address, "per_connection_buffer_limit_bytes": 1 << 20,
            "filter_chains": [chain]}


def _tls(certificate: Path, key: Path) -> dict[str, Any]:
    return {"name": "tls", "typed_config": {
        "@type": f"{TYPE}envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            "alpn_protocols": ["h2", "http/1.1"], "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            "tls_certificates": [{"certificate_chain": {"filename": str(certificate)},
                                  "private_key": {"filename": str(key)}}]}}}


def _http(contracts: Sequence[type[Contract]], issuer: str, rate: Rate, traces: Traces | None, *,
          secure: bool) -> dict[str, Any]:
    return {
        "@type": f"{TYPE}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "door", "codec_type": "AUTO",
        # Who asks is the other end of the connection, whatever the request says.
        "use_remote_address": True, "xff_num_trusted_hops": 0, "skip_xff_append": True,
        "internal_address_config": {"unix_sockets": False},
        "early_header_mutation_extensions": [given_headers()],
        "generate_request_id": True, "preserve_external_request_id": True, "always_set_request_id_in_response": True,
        "request_id_extension": {"typed_config": {
            "@type": f"{TYPE}envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig", "pack_trace_reason": False,
            "use_request_id_for_trace_sampling": False}},
        "normalize_path": True, "merge_slashes": True, "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "server_header_transformation": "PASS_THROUGH",
        "max_request_headers_kb": 32, "request_headers_timeout": "10s", "request_timeout": "60s",
        "stream_idle_timeout": "60s", "drain_timeout": "5s",
        "common_http_protocol_options": {"idle_timeout": "60s", "headers_with_underscores_action": "DROP_HEADER"},
        "http_protocol_options": {"allow_custom_methods": True},   # services say 405 and what they allow; 400 says nothing
        "http2_protocol_options": {"max_concurrent_streams": 100, "initial_stream_window_size": 1 << 16,
                                   "initial_connection_window_size": 1 << 20},
        "local_reply_config": local_replies(ceil(rate.per_seconds)),
        "access_log": [access_log()],
        **({"tracing": tracing(traces)} if traces else {}),
        "http_filters": [ready(), limit(rate), tokens(issuer), {"name": "router", "typed_config": {
            "@type": f"{FILTERS}.router.v3.Router", "suppress_envoy_headers": True}}],
        "route_config": {
            "name": "contracts",
            "virtual_hosts": [{"name": "hospital", "domains": ["*"], "routes": routes(contracts)}],
            "response_headers_to_remove": ["server", "x-powered-by"],
            "response_headers_to_add": [{"header": {"key": "strict-transport-security", "value": "max-age=31536000"},
                                         "append_action": "ADD_IF_ABSENT"}] if secure else [],
        },
    }


def _cluster(service: str, folder: Path) -> dict[str, Any]:
    return {
        "name": service, "type": "EDS", "connect_timeout": "1s", "lb_policy": "LEAST_REQUEST",
        "eds_cluster_config": {"eds_config": {"resource_api_version": "V3", "path_config_source": {
            "path": str(file_of(service, folder)), "watched_directory": {"path": str(folder / "endpoints")}}}},
        # The dead are not asked while anybody lives. When nobody is known to, all are: perhaps they are only new.
        "common_lb_config": {"healthy_panic_threshold": {"value": 1}},
        "ignore_health_on_host_removal": True,   # who withdraws is asked no more, though healthy to the last
        # Whether the process answers, not whether it is ready: a database that is away is away for all instances, and
        # without them nobody would be left to say so. This finds those that are frozen or unreachable.
        "health_checks": [{
            "timeout": "2s", "interval": "1s", "no_traffic_interval": "1s", "unhealthy_interval": "0.5s",
            "no_traffic_healthy_interval": "1s", "unhealthy_threshold": 2, "healthy_threshold": 1,
            "http_health_check": {"path": "/health/live"}}],
        # What connections do counts, not what services answer: their 503 is an answer.
        "outlier_detection": {
            "split_external_local_origin_errors": True, "consecutive_local_origin_failure": 3,
            "enforcing_consecutive_local_origin_failure": 100, "enforcing_local_origin_success_rate": 0,
            "enforcing_consecutive_5xx": 0, "enforcing_consecutive_gateway_failure": 0, "enforcing_success_rate": 0,
            "interval": "1s", "base_ejection_time": "2s", "max_ejection_time": "10s", "max_ejection_percent": 100},
        "circuit_breakers": {"thresholds": [{"max_connections": 4096, "max_pending_requests": 4096,
                                             "max_requests": 4096, "max_retries": 1000}]},
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": f"{TYPE}envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "common_http_protocol_options": {"idle_timeout": IDLE_UPSTREAM},
            "explicit_http_config": {"http_protocol_options": {}}}},
    }
