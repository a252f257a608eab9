import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.conftest import DEPLOY, run

FOLDER = DEPLOY / "prometheus"
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboards" / "worldloom.json").read_text())
ALERTS = yaml.safe_load((FOLDER / "alerts.yml").read_text())
OURS = {
    "ray_worldloom_stage_seconds": {"stage", "le"},
    "ray_worldloom_items_total": {"stage", "outcome"},
    "ray_worldloom_retries_total": {"stage"},
    "ray_worldloom_queue_depth": {"stage"},
    "ray_worldloom_store_bytes_total": set(),
    "ray_worldloom_gpu_memory_bytes": set(),
    "worldloom_gateway_calls_total": {"method", "code"},
    "worldloom_gateway_call_seconds": {"method", "le"},
    "worldloom_gateway_received_bytes_total": set(),
    "worldloom_gateway_sent_bytes_total": set(),
    "worldloom_gateway_watchers": set(),
    "worldloom_gateway_jobs": {"state"},
    "worldloom_gateway_oldest_wait_seconds": set(),
    "worldloom_http_streams": set(),
    "worldloom_http_requests_total": {"route", "code"},
    "worldloom_http_request_seconds": {"route", "le"},
}
"""Metrics that jobs report through Ray, which puts ray_ before them; of gateway and pages."""
OF_RAY = {
    "ray_node_cpu_utilization",
    "ray_node_mem_used",
    "ray_node_mem_total",
    "ray_node_disk_utilization_percentage",
    "ray_object_store_used_memory",
    "ray_spill_manager_request_total",
}
"""As Ray 2.60 exports them; tests/integration/test_exported_metrics.py looks."""
OF_PROMETHEUS = {"up", "ALERTS"}


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    shown = [target["expr"] for panel in panels() for target in panel["targets"]]
    marks = [mark["expr"] for mark in DASHBOARD["annotations"]["list"]]
    alerts = [rule["expr"] for group in ALERTS["groups"] for rule in group["rules"]]
    return shown + marks + alerts


def metrics(expression: str) -> set[str]:
    """Names of the series of an expression, without what a histogram adds to its own."""
    bare = re.sub(r'"[^"]*"', "", expression)
    names = set(re.findall(r"\b((?:ray_|worldloom_)\w+|up|ALERTS)\b", bare))
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}


def test_every_metric_that_is_asked_for_is_exported():
    asked = set[str]().union(*(metrics(expression) for expression in expressions()))
    assert asked <= OURS.keys() | OF_RAY | OF_PROMETHEUS
    # And every one of ours is shown somewhere.
    assert set(OURS) <= asked


def test_labels_that_are_summed_over_exist():
    for expression in expressions():
        known = set[str]().union(*(OURS.get(name, set()) for name in metrics(expression)))
        grouped = re.findall(r"by \(([^)]*)\)", expression)
        asked = {label.strip() for labels in grouped for label in labels.split(",")}
        assert asked <= known | {"instance", "job", "group", "pod"}, expression


def test_panels_have_a_place_of_their_own_and_a_unit():
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    for panel in panels():
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        assert panel["datasource"]["uid"] == "${source}"


def test_every_alert_says_what_it_means():
    rules = [rule for group in ALERTS["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules) >= 11
    for rule in rules:
        assert rule["labels"]["severity"] in {"page", "warn", "info"}
        assert len(rule["annotations"]["description"]) > 20


def test_promtool_takes_rules_and_their_tests_pass(promtool: str):
    done = run(promtool, "check", "rules", "alerts.yml", cwd=FOLDER)
    assert done.returncode == 0, done.stderr
    assert "11 rules found" in done.stdout
    done = run(promtool, "test", "rules", "alerts_test.yml", cwd=FOLDER)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["prometheus.yml", "compose.yml"])
def test_promtool_takes_the_configuration(promtool: str, name: str, tmp_path: Path):
    """Debian builds Prometheus without discovery in Kubernetes: that part is replaced here."""
    config = yaml.safe_load((FOLDER / name).read_text())
    for job in config["scrape_configs"]:
        if job.pop("kubernetes_sd_configs", None):
            job["static_configs"] = [{"targets": ["pod:8080"]}]
        # promtool asks for the file of the token, which is not here.
        job.pop("authorization", None)
    (tmp_path / name).write_text(yaml.safe_dump(config))
    shutil.copy(FOLDER / "alerts.yml", tmp_path)
    done = run(promtool, "check", "config", name, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_every_expression_of_the_dashboard(promtool: str, tmp_path: Path):
    rules = [
        {"record": f"panel_{i}", "expr": expression} for i, expression in enumerate(expressions())
    ]
    (tmp_path / "all.yml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
    done = run(promtool, "check", "rules", "all.yml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_jobs_of_the_configuration_are_those_that_alerts_name():
    named = set(re.findall(r'job="([^"]+)"', " ".join(expressions())))
    for name in ("prometheus.yml", "compose.yml"):
        config = yaml.safe_load((FOLDER / name).read_text())
        assert {job["job_name"] for job in config["scrape_configs"]} == named
