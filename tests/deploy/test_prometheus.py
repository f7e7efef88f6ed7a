"""The shipped rules: valid, tested by promtool, and about metrics that exist."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
import yaml

from daemon.metrics.catalogue import METRICS
from tests.conftest import ROOT, need

DIRECTORY = ROOT / "daemon/kit/files/prometheus"
RULES = yaml.safe_load((DIRECTORY / "tidegauge.rules.yml").read_text(encoding="utf-8"))
TESTS = sorted(path.name for path in DIRECTORY.glob("*.test.yml"))

ALL_RULES: list[dict[str, Any]] = [rule for group in RULES["groups"] for rule in group["rules"]]
RECORDED = {rule["record"] for rule in ALL_RULES if "record" in rule}
TARGET_LABELS = {"job", "instance"}


def metric_names(expression: str) -> set[str]:
    """Names of our metrics in a PromQL expression, a histogram's without its suffix."""
    found = re.findall(r"[A-Za-z:_][\w:]*", re.sub(r'"[^"]*"', "", expression))
    histograms = {spec.full_name for spec in METRICS if spec.type == "histogram"}
    plain = {re.sub(r"_(bucket|sum|count)$", "", name) for name in found if "tidegauge_" in name}
    return {name for name in plain if name in histograms} | {
        name for name in found if "tidegauge_" in name and re.sub(r"_(bucket|sum|count)$", "", name) not in histograms
    }


def promtool(*arguments: str) -> None:
    done = subprocess.run(
        [need("promtool"), *arguments], cwd=DIRECTORY, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_scrape_configuration_is_valid() -> None:
    """Prometheus accepts the example with the rules it names."""
    promtool("check", "config", "prometheus.yml")


def test_the_rules_do_what_their_tests_say() -> None:
    """`promtool test rules` passes: when each alert fires, with which text, and when it does not."""
    promtool("test", "rules", *TESTS)


def test_every_alert_is_seen_firing() -> None:
    """No alert is shipped that no test has seen fire."""
    fired = set()
    for name in TESTS:
        for test in yaml.safe_load((DIRECTORY / name).read_text(encoding="utf-8"))["tests"]:
            fired |= {case["alertname"] for case in test.get("alert_rule_test", ()) if case["exp_alerts"]}
    assert fired == {rule["alert"] for rule in ALL_RULES if "alert" in rule}


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_is_about_metrics_that_exist(rule: dict[str, Any]) -> None:
    """Names, reasons and labels in expressions and texts are those of the table of metrics."""
    names = metric_names(rule["expr"])
    assert names - {"up"} <= {spec.full_name for spec in METRICS} | RECORDED
    labels = set[str]().union(*(set(spec.labels) for spec in METRICS if spec.full_name in names))
    if not RECORDED & names:
        matched = set(re.findall(r"(\w+)(?:=~|!~|!=|=)\"", rule["expr"]))
        shown = set(re.findall(r"\$labels\.(\w+)", str(rule.get("annotations", ""))))
        assert matched | shown <= labels | TARGET_LABELS


def test_the_tests_feed_metrics_that_exist() -> None:
    """Series in the rules' tests are real names with real labels: a renamed metric cannot leave them green."""
    specs = {spec.full_name: spec for spec in METRICS}
    for name in TESTS:
        for test in yaml.safe_load((DIRECTORY / name).read_text(encoding="utf-8"))["tests"]:
            for each in test["input_series"]:
                metric, _, labels = each["series"].partition("{")
                given = set(re.findall(r"(\w+)=", labels))
                if metric != "up":
                    assert given - TARGET_LABELS <= set(specs[metric].labels), each["series"]


def test_alerts_tell_what_happens_and_what_it_means() -> None:
    """Each has a severity, a summary that names its object, and a description."""
    for rule in ALL_RULES:
        if "alert" in rule:
            assert rule["labels"]["severity"] in {"info", "warning", "critical"}, rule["alert"]
            assert set(rule["annotations"]) == {"summary", "description"}, rule["alert"]
