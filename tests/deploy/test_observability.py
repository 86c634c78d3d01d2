"""Alerts and dashboard ask for figures that exist, and for nothing else."""
from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from infirmary.kernel import telemetry
from infirmary.kernel.kafka.listener import LAG

from .catalogue import DEPLOY, SERVICES

FOLDER = DEPLOY / "observability"
ALERTS: list[dict[str, Any]] = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
PROMTOOL = shutil.which("promtool")
THEIRS = {"up", "node_filesystem_avail_bytes", "node_filesystem_size_bytes"}   # Prometheus' own, and node-exporter's
WORDS = {"by", "sum", "max", "count", "rate", "delta", "topk", "histogram_quantile", "predict_linear", "absent", "and", "or",
         "on"}


def ours() -> dict[str, set[str]]:
    """What a process exposes, and the labels of each figure."""
    assert LAG in telemetry.registry._collector_to_names
    return {name: {*collector._labelnames, *({"le"} if name.endswith("_bucket") else ())}
            for collector, names in telemetry.registry._collector_to_names.items() for name in names}


def asked(expression: str) -> set[str]:
    """The names of figures in an expression."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\b(?:by|on) \([^)]*\)', " ", expression)
    return set(re.findall(r"[a-z_]{2,}", bare)) - WORDS


EXPRESSIONS = {**{one["alert"]: one["expr"] for one in ALERTS},
               **{panel["title"]: target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]}}


@pytest.mark.parametrize("of", EXPRESSIONS)
def test_it_asks_for_figures_that_exist(of: str) -> None:
    names = asked(EXPRESSIONS[of])
    assert names and names <= {*ours(), *THEIRS}, "nobody measures this"
    labels = {label for found in re.findall(r"by \(([^)]*)\)", EXPRESSIONS[of]) for label in found.split(", ")}
    for name in names - THEIRS:
        assert labels <= {*ours()[name], "service", "le"}, f"{name} has no such label"


def test_a_figure_that_nobody_measures_would_be_found() -> None:
    assert asked('sum by (context) (rate(facts_lost{job="x"}[5m])) > 0 and up') == {"facts_lost", "up"}
    assert "facts_lost" not in ours()


def test_every_alert_says_what_to_do() -> None:
    assert {"FactsWait", "FactsParked", "ConsumerBehind", "ManyErrors", "SlowAnswers", "DiskFillsUp"} <= {
        one["alert"] for one in ALERTS}
    for one in ALERTS:
        assert one["labels"]["severity"] in ("page", "ticket") and one["for"], one["alert"]
        assert set(one["annotations"]) == {"summary", "action"}, one["alert"]


def test_every_service_is_scraped() -> None:
    jobs = {one["job_name"]: one for one in yaml.safe_load((FOLDER / "prometheus.yaml").read_text())["scrape_configs"]}
    found = jobs["infirmary"]["dns_sd_configs"][0]
    assert found["names"] == SERVICES and found["port"] == 8000


def test_the_dashboards_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken and at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed: apt-get install prometheus")
def test_prometheus_finds_no_fault(tmp_path: Path) -> None:
    for command in (["check", "config", "prometheus.yaml"], ["check", "rules", "alerts.yaml"]):
        done = subprocess.run([str(PROMTOOL), *command], cwd=FOLDER, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed: apt-get install prometheus")
def test_alerts_are_raised_when_they_should_be(tmp_path: Path) -> None:
    steady = {"series": 'http_requests_total{operation="book",status="201",job="infirmary"}', "values": "0+60x60"}
    failing = {"series": 'http_requests_total{operation="book",status="500",job="infirmary"}', "values": "0+6x60"}

    def raised(alert: str, at: str, *series: dict[str, str], labels: dict[str, str] | None) -> dict[str, Any]:
        rule = next(one for one in ALERTS if one["alert"] == alert)
        expected = [] if labels is None else [{"exp_labels": {**labels, **rule["labels"]}}]
        return {"interval": "15s", "input_series": list(series),
                "alert_rule_test": [{"eval_time": at, "alertname": alert, "exp_alerts": expected}]}

    waiting = {"series": 'facts_oldest_seconds{context="staff"}', "values": "0+15x60"}
    tests = [
        raised("ManyErrors", "10m", steady, failing, labels={"operation": "book"}),
        raised("ManyErrors", "10m", steady, labels=None),
        raised("FactsWait", "10m", waiting, labels={"context": "staff"}),
        raised("FactsParked", "5m", {"series": 'facts_parked{context="audit"}', "values": "1x60"}, labels={"context": "audit"}),
        raised("NobodyAnswers", "5m", {"series": 'up{job="infirmary",service="web"}', "values": "0x60"}, labels={"service": "web"}),
        raised("ConsumerBehind", "14m", {"series": 'event_lag{consumer="audit",topic="staff-events"}', "values": "2000+50x60"},
               labels={"consumer": "audit"}),
        raised("ConsumerBehind", "14m", {"series": 'event_lag{consumer="audit",topic="staff-events"}', "values": "9000-50x60"},
               labels=None),
    ]
    bare = [{key: value for key, value in one.items() if key != "annotations"} for one in ALERTS]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "alerts", "rules": bare}]}))
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": "15s", "tests": tests}))
    done = subprocess.run([str(PROMTOOL), "test", "rules", "tests.yaml"], cwd=tmp_path, capture_output=True, text=True,
                          check=False, env={**os.environ, "TZ": "UTC"})
    assert done.returncode == 0, done.stdout + done.stderr
