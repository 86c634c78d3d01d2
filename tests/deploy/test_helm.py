"""The chart makes what Kubernetes accepts, with every service, as few rights as will do, and no secret in it."""
from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from infirmary.kernel import kafka, settings
from infirmary.kernel.live_config import merged
from infirmary.kernel.registries import dns
from infirmary.live import LiveConfig
from infirmary.run import service
from infirmary.settings import Settings

from .catalogue import ALL, DEPLOY, NAMES, SERVICES, asked_by

CHART = DEPLOY / "helm/infirmary"
HELM = shutil.which("helm", path=f"{os.environ.get('PATH', '')}:{Path.home()}/.cache/infirmary/bin")
pytestmark = pytest.mark.skipif(HELM is None, reason="helm is not installed: go install helm.sh/helm/v3/cmd/helm@latest "
                                                     "(GOBIN=~/.cache/infirmary/bin will do)")
OLDEST, NEWEST = "1.27.0", "1.33.0"   # Kubernetes; the chart's own limit, and one that is common
NAMES_CACHED, TAKEN_OUT = 5.0, 2.0    # seconds: a cluster's DNS keeps an answer; the endpoint of a leaving pod goes

LEAST = "publicUrl: https://hospital.example.org\nmail: {host: smtp.example.org}\n"
FULL = """
publicUrl: https://hospital.example.org
image: {repository: hospital/infirmary, digest: "sha256:""" + "0" * 64 + """", pullSecrets: [pulling]}
mail: {host: smtp.example.org, username: infirmary, password: {name: smtp}, to: [{ipBlock: {cidr: 192.0.2.7/32}}]}
database: {to: [{ipBlock: {cidr: 192.0.2.0/28}}]}
kafka: {brokers: "kafka-0:9092,kafka-1:9092", to: [{namespaceSelector: {matchLabels: {name: kafka}}}]}
keys: {storageClassName: shared, size: 32Mi}
network: {egress: [{ports: [{port: 4317}]}]}
traces: {collector: "http://collector:4318", share: 0.5, to: [{namespaceSelector: {matchLabels: {name: telemetry}}}]}
monitoring: {enabled: true, labels: {release: prometheus}}
ingress: {enabled: true, className: public, host: hospital.example.org, tlsSecret: ingress-tls}
gateway: {tlsSecret: hospital-tls, service: {type: LoadBalancer, port: 443}, from: [{ipBlock: {cidr: 198.51.100.0/24}}]}
live: {common: {log_level: warning}, services: {gateway: {gateway: {burst: 5}}}}
settings: {PGSSLMODE: require}
defaults: {nodeSelector: {pool: hospital}, tolerations: [{key: hospital, operator: Exists}]}
"""
SMALL = LEAST + """
network: {policies: false}
keys: {existingClaim: kept, accessModes: [ReadWriteOnce]}
defaults: {replicas: 1, autoscaling: {enabled: false}}
services: {appointments: {replicas: 3}}
"""
VALUES = {"least": LEAST, "full": FULL, "small": SMALL}
Resources = list[dict[str, Any]]


@cache
def rendered(values: str, version: str = NEWEST) -> Resources:
    done = helm("template", "ours", str(CHART), "--namespace", "hospital", "--kube-version", version,
                "--api-versions", "monitoring.coreos.com/v1", "-f", "-", given=values)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def helm(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(HELM), *words], input=given, capture_output=True, text=True, check=False)


def of_kind(resources: Resources, kind: str) -> dict[str, dict[str, Any]]:
    """By component; by name where there is none."""
    found = [one for one in resources if one["kind"] == kind]
    return {one["metadata"]["labels"].get("app.kubernetes.io/component", one["metadata"]["name"]): one for one in found}


def pods(resources: Resources) -> dict[str, dict[str, Any]]:
    return {name: one["spec"]["template"]["spec"] for kind in ("Deployment", "Job")
            for name, one in of_kind(resources, kind).items()}


def variables(container: dict[str, Any], resources: Resources) -> dict[str, str]:
    """As the process will see them, with passwords made up."""
    config = {one["metadata"]["name"]: one["data"] for one in resources if one["kind"] == "ConfigMap"}
    found = {key: value for source in container.get("envFrom", []) for key, value in config[source["configMapRef"]["name"]].items()}
    for one in container.get("env", []):
        value = one.get("value", "a-password")
        for name in list(found):
            value = value.replace(f"$({name})", found[name])
        found[one["name"]] = value
    return found


@pytest.fixture(params=VALUES)
def values(request: pytest.FixtureRequest) -> str:
    return VALUES[request.param]


@pytest.fixture
def resources(values: str) -> Resources:
    return rendered(values)


def test_helm_finds_no_fault_with_the_chart(values: str) -> None:
    done = helm("lint", "--strict", str(CHART), "--kube-version", NEWEST, "-f", "-", given=values)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_accepts_every_resource(values: str, version: str) -> None:
    validating = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    for one in rendered(values, version):
        if one["kind"] != "ServiceMonitor":   # the operator's own; Kubernetes has no schema of it
            validating.validate(one, version, strict=True)


def test_a_resource_with_a_typo_would_be_found() -> None:
    validating = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    wrong = next(one for one in rendered(LEAST) if one["kind"] == "Deployment")
    wrong = {**wrong, "spec": {**wrong["spec"], "replica": 2}}
    with pytest.raises(validating.ValidationError):
        validating.validate(wrong, NEWEST, strict=True)


def test_every_service_of_the_catalogue_is_there_with_all_it_needs(resources: Resources, values: str) -> None:
    for kind in ("Deployment", "Service", "ServiceAccount", "PodDisruptionBudget"):
        assert set(of_kind(resources, kind)) == set(ALL), kind
    assert set(of_kind(resources, "HorizontalPodAutoscaler")) == (set() if values == SMALL else set(ALL))
    starts = {name: pod["containers"][0]["args"][:2] for name, pod in pods(resources).items() if name in SERVICES}
    assert starts == {name: ["serve", name] for name in SERVICES}


def test_no_container_has_more_rights_than_it_needs(resources: Resources) -> None:
    for name, pod in pods(resources).items():
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] > 0, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod), name
        assert not any("hostPath" in volume for volume in pod["volumes"]), name
        for container in pod["containers"]:
            may = container["securityContext"]
            assert may == {"allowPrivilegeEscalation": False, "privileged": False, "readOnlyRootFilesystem": True,
                           "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}}, name
            assert container["resources"]["limits"]["memory"] and container["resources"]["requests"]["cpu"], name


def test_secrets_are_named_and_never_written(resources: Resources) -> None:
    assert not [one for one in resources if one["kind"] == "Secret"]
    for name, pod in pods(resources).items():
        for container in pod["containers"]:
            telling = [one for one in container.get("env", []) if "PASSWORD" in one["name"] or "SECRET" in one["name"]]
            for one in telling:
                assert "valueFrom" in one or one["value"].startswith("/secrets/"), (name, one)
            assert "a-password" not in str(container), name


def test_each_service_has_only_its_own_database_password(resources: Resources) -> None:
    has = {name: [one["valueFrom"]["secretKeyRef"]["key"] for container in pod["containers"]
                  for one in container.get("env", []) if "valueFrom" in one] for name, pod in pods(resources).items()}
    assert has == {**{name: [name] for name in NAMES}, "migrate": ["owner"], "web": [], "gateway": []}


def test_every_process_can_read_its_settings(resources: Resources) -> None:
    for name, pod in pods(resources).items():
        for container in pod["containers"]:
            given = variables(container, resources)
            made = settings.load(Settings, prefix="INFIRMARY", environ=given)
            assert made.production and made.weaknesses() == [], name
            if "INFIRMARY_DATABASE" in given:
                own = container["name"]
                user, database = ("infirmary", "staff") if own == "migrate" else (own, own)
                assert made.database_url(database) == f"postgresql://{user}:a-password@postgres:5432/{database}"
            assert made.services.registry.format(service="staff") == "dns://ours-infirmary-staff:8000"
            assert of_kind(resources, "Service")["staff"]["metadata"]["name"] == "ours-infirmary-staff"


def test_what_may_change_while_it_runs_is_read_as_the_files_in_git_are(tmp_path: Path) -> None:
    data = next(one["data"] for one in rendered(FULL) if one["metadata"]["name"].endswith("-live"))
    volume = next(one["configMap"] for one in pods(rendered(FULL))["gateway"]["volumes"] if one["name"] == "live")
    for item in volume["items"]:
        file = tmp_path / item["path"]
        file.parent.mkdir(exist_ok=True)
        file.write_text(data[item["key"]])
    content = merged(tmp_path, "production", LiveConfig, ALL)
    assert content == {"common": {"log_level": "warning"}, "gateway": {"log_level": "warning", "gateway": {"burst": 5}}}


def test_a_rolling_update_loses_nothing(resources: Resources) -> None:
    stopping = service.LET_GO + service.LAST_ANSWERS + kafka.CLOSING
    for name, one in of_kind(resources, "Deployment").items():
        assert one["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}, name
        pod = one["spec"]["template"]["spec"]
        _, lingers = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
        assert int(lingers) >= NAMES_CACHED + dns.EVERY + TAKEN_OUT, f"{name}: callers would still ask it"
        assert pod["terminationGracePeriodSeconds"] > int(lingers) + stopping, f"{name}: killed with work in hand"
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(pod["containers"][0]), name
        assert [one["topologyKey"] for one in pod["topologySpreadConstraints"]] == [
            "topology.kubernetes.io/zone", "kubernetes.io/hostname"], name


def test_databases_are_brought_up_to_date_before_anything_is_changed(resources: Resources) -> None:
    job = of_kind(resources, "Job")["migrate"]
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    containers = job["spec"]["template"]["spec"]["containers"]
    assert [one["args"] for one in containers] == [["migrate"]]
    assert not any("envFrom" in one for one in containers), "at the first installation the settings are not there yet"
    assert "serviceAccountName" not in job["spec"]["template"]["spec"], "nor is the account"


def test_identitys_keys_outlive_it_and_nobody_else_has_them(resources: Resources, values: str) -> None:
    claims = {name: volume["persistentVolumeClaim"]["claimName"] for name, pod in pods(resources).items()
              for volume in pod["volumes"] if "persistentVolumeClaim" in volume}
    assert claims == {"identity": "kept" if values == SMALL else "ours-infirmary-keys"}
    made = of_kind(resources, "PersistentVolumeClaim")
    assert set(made) == (set() if values == SMALL else {"ours-infirmary-keys"})
    assert all(one["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep" for one in made.values())


def test_services_are_found_by_the_addresses_of_their_pods(resources: Resources) -> None:
    found = of_kind(resources, "Service")
    assert {name for name, one in found.items() if one["spec"].get("clusterIP") == "None"} == set(SERVICES)
    assert not any(one["spec"].get("type", "ClusterIP") != "ClusterIP" for name, one in found.items() if name != "gateway")


def _components(peers: list[dict[str, Any]]) -> Iterator[str]:
    for peer in peers:
        for expression in peer.get("podSelector", {}).get("matchExpressions", []):
            yield from expression["values"]


def _rules(policy: dict[str, Any], way: str, side: str, port: Callable[[Any], bool]) -> set[str]:
    return {name for rule in policy["spec"][way] if any(port(one["port"]) for one in rule["ports"])
            for name in _components(rule.get(side, []))}


@pytest.mark.parametrize("values", ["least", "full"], indirect=True)
def test_services_reach_those_whose_contracts_they_use_and_nobody_else(resources: Resources) -> None:
    policies = of_kind(resources, "NetworkPolicy")
    assert set(policies) == {*ALL, "migrate", "ours-infirmary-default-deny"}
    assert policies["ours-infirmary-default-deny"]["spec"]["policyTypes"] == ["Ingress", "Egress"]
    for name in ALL:
        asks = _rules(policies[name], "egress", "to", lambda port: port == 8000)
        assert asks == asked_by(name), name
        if name != "gateway":
            assert _rules(policies[name], "ingress", "from", lambda port: port == "http") == {
                other for other in ALL if name in asked_by(other)}, name
    ports = {name: {one["port"] for rule in policy["spec"].get("egress", []) for one in rule["ports"]} - {53, 4317, 4318}
             for name, policy in policies.items()}
    assert ports == {**{name: {8000, 5432, 9092} for name in NAMES}, "notifications": {8000, 5432, 9092, 587},
                     "web": {8000, 9092}, "gateway": {8000}, "migrate": {5432}, "ours-infirmary-default-deny": set()}


def test_every_service_sends_its_traces_to_the_collector_that_is_named_and_none_without(values: str, resources: Resources) -> None:
    for name, pod in pods(resources).items():
        made = settings.load(Settings, prefix="INFIRMARY", environ=variables(pod["containers"][0], resources)).services
        assert (made.traces, made.trace_share) == (("http://collector:4318", .5) if values == FULL else ("", .1)), name
    reach = {name for name, policy in of_kind(resources, "NetworkPolicy").items()
             for rule in policy["spec"].get("egress", []) if rule["ports"] == [{"port": 4318}] and rule["to"]}
    assert reach == (set(ALL) if values == FULL else set())


def test_only_the_gateway_can_be_reached_from_outside(resources: Resources) -> None:
    for one in of_kind(resources, "Ingress").values():
        backends = [path["backend"]["service"]["name"] for rule in one["spec"]["rules"] for path in rule["http"]["paths"]]
        assert backends == ["ours-infirmary-gateway"]
    for name, policy in of_kind(resources, "NetworkPolicy").items():
        for rule in policy["spec"].get("ingress", []):
            assert name == "gateway" or rule["from"], f"{name} is open to anybody"


@pytest.mark.parametrize(("wrong", "named"), [
    ("mail: {host: smtp.example.org}", "publicUrl"),
    ("publicUrl: http://hospital.example.org\nmail: {host: smtp.example.org}", "publicUrl"),
    ("publicUrl: https://hospital.example.org", "mail"),
    (LEAST + "services: {pharmacy: {replicas: 2}}", "pharmacy"),
    (LEAST + "defaults: {grace: 5}", "grace"),
    (LEAST + "replicas: 2", "replicas"),
    (LEAST + "database: {url: postgresql://one-for-all/infirmary}", "url"),
])
def test_values_that_cannot_work_are_refused_by_name(wrong: str, named: str) -> None:
    done = helm("template", "ours", str(CHART), "--kube-version", NEWEST, "-f", "-", given=wrong)
    assert done.returncode != 0 and named in done.stderr
