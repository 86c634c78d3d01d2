"""The contracts as routes: everything that is open is answered by its own service, and nothing else is reached."""
from __future__ import annotations

import re
from pathlib import Path
from uuid import uuid4

import pytest

from infirmary.kernel.contract import Operation
from infirmary.kernel.registry import Instance
from infirmary.language import SERVICE
from infirmary.run.catalogue import CONTEXTS
from infirmary.run.gateway.configuration import bootstrap, endpoints
from infirmary.run.gateway.filters import Rate
from infirmary.run.gateway.routes import PAGE_STREAMS, routes, service_of, services_of
from infirmary.system import Backstage, System
from infirmary.web.pages import PAGES

from .judge import decided

CONTRACTS = [*(context.contract for context in CONTEXTS), System, Backstage]
OPERATIONS = [operation for contract in CONTRACTS for operation in contract.operations.values()]
OPEN = [operation for operation in OPERATIONS if set(operation.allow) != {SERVICE}]
INTERNAL = [operation for operation in OPERATIONS if set(operation.allow) == {SERVICE}]
ROUTES = routes(CONTRACTS)


def address_of(operation: Operation) -> str:
    return operation.prefix + re.sub(r"{\w+}", lambda _: str(uuid4()), operation.path)


def named(operation: Operation) -> str:
    return operation.id


@pytest.mark.parametrize("operation", OPEN, ids=named)
def test_an_open_operation_is_answered_by_the_service_of_its_context(operation):
    found = decided(ROUTES, operation.verb, address_of(operation))
    assert (found["name"], found["route"]["cluster"]) == (operation.id, service_of(operation.context))


@pytest.mark.parametrize("operation", INTERNAL, ids=named)
def test_what_only_services_may_ask_is_answered_404_at_the_gateway(operation):
    assert decided(ROUTES, operation.verb, address_of(operation))["direct_response"] == {"status": 404}


@pytest.mark.parametrize("operation", [one for one in INTERNAL if "{" not in one.path], ids=named)
def test_an_internal_address_is_no_id_for_any_method(operation):
    """GET /appointments/open is not the appointment called `open`."""
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"):
        found = decided(ROUTES, method, address_of(operation))
        mine = [one for one in OPEN if one.prefix + one.path == operation.prefix + operation.path]
        assert "direct_response" in found or mine, f"{method} {operation.path} reaches {found['name']}"


def test_there_are_operations_of_both_kinds():
    assert len(OPEN) > 40 and len(INTERNAL) >= 5


def test_services_are_the_contexts_and_the_pages_and_system_is_asked_of_identity():
    assert services_of(CONTRACTS) == [*(context.name for context in CONTEXTS), "web"]
    assert decided(ROUTES, "GET", "/api/v1/system/services")["route"]["cluster"] == "identity"


def test_literal_addresses_win_over_ids():
    assert decided(ROUTES, "GET", "/api/v1/slots/earliest")["name"] == "appointments.earliest"
    assert decided(ROUTES, "GET", "/api/v1/patients/matches")["name"] != decided(
        ROUTES, "GET", f"/api/v1/patients/{uuid4()}")["name"]
    assert decided(ROUTES, "POST", "/api/v1/notifications/read")["name"] == "notifications.read_all"


def test_a_method_that_nobody_declared_is_refused_by_the_service():
    found = decided(ROUTES, "DELETE", "/api/v1/slots")
    assert found["route"]["cluster"] == "appointments" and found["name"] == "appointments.other"


@pytest.mark.parametrize("path", [
    "/metrics", "/metrics/", "/health", "/health/ready", "/api/v1/", "/api/v1/nothing", "/api/v1/slots/",
    "/.well-known/security.txt", "/api/v1/appointments/%6Fpen", "/api/v1/appointments/ope%6e", "/%6Detrics",
    "/he%61lth/ready", "/api%2Dv1", "/api/v1/patients/x/y/z"])
def test_what_nobody_should_reach_is_answered_404_at_the_gateway(path):
    for method in ("GET", "POST"):
        assert decided(ROUTES, method, path)["direct_response"] == {"status": 404}


@pytest.mark.parametrize("path", ["/", "/sign-in", "/static/app.js", "/api/docs", "/api/v1/openapi.json",
                                  "/api/v1/asyncapi.json", "/people/Zo%C3%AB%20B"])
def test_pages_files_and_documents_are_answered_by_the_pages_service(path):
    assert decided(ROUTES, "GET", path)["route"]["cluster"] == "web"


def test_streams_have_no_end_but_may_not_be_silent_for_long():
    declared = [address_of(one) for one in OPEN if one.media == "text/event-stream"]
    pages = {path for module in PAGES for _, path, _ in module.paths}
    assert declared and pages >= set(PAGE_STREAMS)
    for path in (*declared, *PAGE_STREAMS):
        route = decided(ROUTES, "GET", path)["route"]
        assert route["timeout"] == "0s" and route["idle_timeout"] == "120s" and "retry_policy" not in route


def test_only_what_may_happen_twice_is_sent_twice():
    def retried(method: str, path: str, *headers: str) -> set[str]:
        return set(decided(ROUTES, method, path, *headers)["route"]["retry_policy"]["retry_on"].split(","))

    never_arrived = {"connect-failure", "refused-stream", "reset-before-request"}
    visit = f"/api/v1/appointments/{uuid4()}"
    assert "reset" in retried("GET", visit)
    assert "reset" in retried("POST", "/api/v1/appointments", "idempotency-key", "authorization")
    assert retried("POST", "/api/v1/appointments", "authorization") == never_arrived
    assert retried("POST", "/api/v1/appointments", "idempotency-key") == never_arrived   # a key of nobody's
    assert retried("PUT", f"/api/v1/patients/{uuid4()}", "idempotency-key", "authorization") == never_arrived
    assert retried("POST", "/sign-in") == never_arrived
    assert all("retriable-status-codes" not in one["route"].get("retry_policy", {}).get("retry_on", "")
               for one in ROUTES if "route" in one)


def test_who_queues_in_a_service_is_not_sent_again_meanwhile():
    def tries_for(path: str) -> str:
        return decided(ROUTES, "POST", path, "idempotency-key", "authorization")["route"]["retry_policy"]["per_try_timeout"]

    assert (tries_for("/api/v1/appointments"), tries_for("/api/v1/auth/password/change")) == ("5s", "10s")


def test_no_name_in_a_path_spans_two_segments():
    for route in ROUTES:
        if "route" in route and "safe_regex" in route["match"]:
            assert ".*" not in route["match"]["safe_regex"]["regex"]


def test_endpoints_are_addresses_each_once_in_order():
    at = [Instance(service="staff", id=str(n), url=url) for n, url in enumerate(
        ["http://127.0.0.1:8102", "http://[::1]:8101", "http://127.0.0.1:8102"])]
    found = endpoints("staff", at)["resources"][0]
    sockets = [one["endpoint"]["address"]["socket_address"] for one in found["endpoints"][0]["lb_endpoints"]]
    assert found["cluster_name"] == "staff"
    assert sockets == [{"address": "127.0.0.1", "port_value": 8102}, {"address": "::1", "port_value": 8101}]
    with pytest.raises(ValueError, match="does not appear to be an IPv4 or IPv6 address"):
        endpoints("staff", [Instance(service="staff", id="1", url="http://staff:8000")])


def test_the_configuration_is_the_same_for_the_same_contracts(tmp_path: Path):
    made = [bootstrap(CONTRACTS, listen_host="127.0.0.1", port=8000, admin_port=0, folder=tmp_path,
                      issuer="http://127.0.0.1:8000", rate=Rate()) for _ in range(2)]
    assert made[0] == made[1]
    assert made[0]["admin"]["address"]["socket_address"]["address"] == "127.0.0.1"
