"""The shipped dashboard: valid, tidy, and about metrics that exist."""

from __future__ import annotations

import json
import re
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml

from daemon.kit.kit import contents
from daemon.metrics.catalogue import METRICS
from tests.conftest import need
from tests.deploy.test_prometheus import RECORDED, metric_names

DASHBOARD: dict[str, Any] = json.loads(contents()["grafana/tidegauge.json"])
ANNOTATIONS: list[dict[str, Any]] = DASHBOARD["annotations"]["list"]
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
QUERIES = [(panel["title"], target["expr"]) for panel in PANELS for target in panel.get("targets", ())]
QUERIES += [(each["name"], each["expr"]) for each in ANNOTATIONS]
VARIABLES = {each["name"]: each for each in DASHBOARD["templating"]["list"]}


def test_the_dashboard_is_about_metrics_that_exist() -> None:
    """Panels and variables name metrics of the table or of the shipped recording rules, and only labels these have."""
    specs = {spec.full_name: spec for spec in METRICS}
    definitions = [("variable", str(each.get("definition", ""))) for each in VARIABLES.values()]
    for title, text in [*QUERIES, *definitions]:
        names = metric_names(text)
        assert names <= set(specs) | RECORDED, title
        labels = set[str]().union(*(set(specs[name].labels) for name in names if name in specs))
        labels |= {"stream"} if names & RECORDED else set()
        assert set(re.findall(r"(\w+)(?:=~|!=|=)\"", text)) <= labels | {"job", "instance"}, title


def test_prometheus_can_parse_every_query(tmp_path: Path) -> None:
    """With variables filled in, promtool takes each expression."""
    rules = [{"record": f"q:{n}", "expr": re.sub(r"\$\w+", "x", expr)} for n, (_, expr) in enumerate(QUERIES)]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run(
        [need("promtool"), "check", "rules", str(path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(QUERIES)} rules found" in done.stdout


def test_variables_are_defined() -> None:
    """No query or data source refers to a variable that the dashboard lacks."""
    used = set(re.findall(r"\$\{?([a-z]\w*)", json.dumps(DASHBOARD)))
    assert used <= set(VARIABLES)


def test_panels_have_places_of_their_own() -> None:
    """Identifiers are unique, panels lie in the 24 columns and none covers another."""
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    boxes = [(p["gridPos"]["x"], p["gridPos"]["y"], p["gridPos"]["w"], p["gridPos"]["h"]) for p in PANELS]
    assert all(x >= 0 and x + w <= 24 for x, _, w, _ in boxes)
    for (ax, ay, aw, ah), (bx, by, bw, bh) in combinations(boxes, 2):
        assert ax + aw <= bx or bx + bw <= ax or ay + ah <= by or by + bh <= ay


def test_the_dashboard_can_be_imported_anywhere() -> None:
    """It has a fixed uid, no id of one Grafana, and its data source is chosen by a variable."""
    assert DASHBOARD["uid"] == "tidegauge"
    assert DASHBOARD.get("id") is None
    sources = {json.dumps(each["datasource"]) for each in [*PANELS, *ANNOTATIONS] if "datasource" in each}
    assert sources == {json.dumps({"type": "prometheus", "uid": "${datasource}"})}


def test_what_is_open_is_marked_on_every_panel() -> None:
    """Episodes and silences are annotations that are on by default, with the series' name, told by its labels."""
    on = {each["name"]: each for each in ANNOTATIONS if each["enable"]}
    assert set(on) == {"Episodes", "Silences"}
    specs = {spec.full_name: spec for spec in METRICS}
    for each in ANNOTATIONS:
        shown = set(re.findall(r"\{\{(\w+)\}\}", each["titleFormat"] + each["textFormat"])) | {each["tagKeys"]}
        (name, *_) = sorted(metric_names(each["expr"]))
        assert shown <= set(specs[name].labels) | {"instance"}, each["name"]
    assert all("{{series}}" in each["titleFormat"] for each in on.values())
