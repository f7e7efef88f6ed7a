"""The bench of a stream's budget: what is put into made series, and how what is told of them is judged."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from daemon.bench import fleet
from daemon.bench.budget import FIRST_SLOT, INTERVAL_S, LEAD_DAYS, PER_DAY, Anomaly
from daemon.bench.fleet import FleetJob, FleetResult, judge, values_of
from daemon.cli.main import app
from daemon.engine.messages.events import Event
from tests.daemon.store.contents import event

JOB = FleetJob(series=20, days=30, put=2, most=5, seed=0)


def at(slot: int, series: str, name: str, *, revision: int = 0, told: bool) -> Event:
    found = event(name, revision=revision, started_at=(FIRST_SLOT + slot) * INTERVAL_S, series=series)
    return replace(found, notify=told, at=(FIRST_SLOT + slot) * INTERVAL_S)


def test_each_fault_has_a_series_of_its_own() -> None:
    """As many a day as were asked for from the fourth week on; without them the same series are clean."""
    values, faults = values_of(JOB)
    clean, none = values_of(replace(JOB, put=0))
    assert (len(faults), len({fault.series for fault in faults}), none) == (18, 18, [])
    for fault in faults:
        changed = np.flatnonzero(values[:, fault.series] != clean[:, fault.series])
        assert len(changed) and fault.start <= changed[0] <= changed[-1] < fault.end
        assert fault.start >= LEAD_DAYS * PER_DAY
    untouched = sorted(set(range(20)) - {fault.series for fault in faults})
    assert (values[:, untouched] == clean[:, untouched]).all()


def test_what_is_told_of_a_fault_is_true() -> None:
    """An alarm of its series from its start to shortly after its end; all else that is told is false."""
    start = LEAD_DAYS * PER_DAY
    faults = [Anomaly(3, "spike", 8.0, start + 10, start + 11), Anomaly(4, "dip", 8.0, start + 70, start + 80)]
    events = [
        at(start - 1, "3", "early", told=True),
        at(start + 10, "3", "found", told=False),
        at(start + 10, "3", "found", revision=1, told=True),
        at(start + 20, "3", "late", told=True),
        at(start + 75, "4", "untold", told=False),
        at(start + 75, "9", "other", told=True),
    ]
    found = judge(JOB, events, faults)
    assert found == FleetResult(JOB, opened=4, told=3, most_told=2, true=1, faults=2, found=2, told_of=1)
    assert found.to_json()["told_per_day"] == pytest.approx(3 / 9)


def test_the_table_has_every_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clean and at fault, each without a bound and with it; `--json` has the same figures."""

    def ran(todo: list[FleetJob], processes: int, step: object) -> list[FleetResult]:
        return [FleetResult(job, 90, 9 if job.most is None else 5, 2, 3, 18, 12, 3) for job in todo]

    monkeypatch.setattr(fleet, "run", ran)
    shown = CliRunner().invoke(app, ["bench", "fleet", "--series", "20", "--days", "30"])
    assert (shown.exit_code, shown.output.count("33 %"), shown.output.count("60 %")) == (0, 2, 2)
    rows = json.loads(CliRunner().invoke(app, ["bench", "fleet", "--days", "30", "--json"]).stdout)
    assert [(row["put"], row["most"]) for row in rows] == [(0, None), (0, 20), (10, None), (10, 20)]
