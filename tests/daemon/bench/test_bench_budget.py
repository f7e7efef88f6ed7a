"""`tidegauge bench budget`: what it runs, what it puts in, what it counts, what it prints."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from daemon.bench.budget import (
    FOUND_WITHIN,
    LEAD_DAYS,
    PER_DAY,
    SPACING_DAYS,
    STRENGTHS,
    Anomaly,
    BudgetJob,
    BudgetResult,
    jobs,
    measure,
    summarise,
    values_of,
)
from daemon.cli.bench_commands import _rate_table, _recall_table
from models.generator import NOISES
from models.injection import KINDS


def test_every_budget_has_every_series_and_noise() -> None:
    """A run for each budget and kind of noise, and one of each kind with anomalies; no series twice."""
    todo = jobs(10, 60, [0.3, 1.0], 0)
    assert len(todo) == 3 * len(NOISES)
    assert [job.budget for job in todo if job.injected] == [1.0] * len(NOISES)
    own = [n for job in todo if job.budget == 0.3 for n in job.series]
    assert sorted(own) == list(range(10))


def test_anomalies_are_put_in() -> None:
    """Over the series every kind at every strength, a month apart, in the slots said; elsewhere nothing changed."""
    clean, faulty = (BudgetJob("gaussian", tuple(range(16)), 60, 1.0, 0, injected) for injected in (False, True))
    before, none = values_of(clean)
    after, anomalies = values_of(faulty)
    assert none == []
    assert {(a.kind, a.strength) for a in anomalies} == {(k, s) for k in KINDS for s in STRENGTHS}
    touched = np.zeros(before.shape, bool)
    for a in anomalies:
        touched[a.start : a.end, a.series] = True
        assert a.start >= LEAD_DAYS * PER_DAY
    assert (after == before)[~touched].all()
    assert (after != before)[touched].mean() > 0.8
    starts = sorted(a.start for a in anomalies if a.series == 0)
    assert min(np.diff(starts)) > (SPACING_DAYS - 1) * PER_DAY


def test_what_is_counted() -> None:
    """Episodes over months, also of all kinds together; an anomaly is found by an episode that opens in or after it."""
    clean = [BudgetJob(noise, (0,), 60, 1.0, 0, False) for noise in NOISES]
    opened = [(0, 700, ("model",)), (0, 900, ("model", "novelty"))]
    results = [BudgetResult(clean[0], 2.0, opened, []), *(BudgetResult(job, 2.0, [], []) for job in clean[1:])]
    put = [Anomaly(0, "spike", 3.0, 100, 101), Anomaly(0, "spike", 3.0, 800, 801), Anomaly(1, "dip", 4.0, 700, 701)]
    by: tuple[str, ...] = ("model",)
    seen = [(0, 100 + FOUND_WITHIN, by), (0, 799, by), (0, 700, by)]
    results.append(BudgetResult(BudgetJob("t3", (0, 1), 60, 1.0, 0, True), 4.0, seen, put))
    found = summarise(results)
    rates = {rate["noise"]: (rate["per_month"], rate["reasons"]) for rate in found["rates"]}
    assert rates["gaussian"] == (1.0, {"model": 2, "novelty": 1})
    assert rates["all"][0] == pytest.approx(2 / 6)
    assert [(one["kind"], one["found"], one["anomalies"]) for one in found["recall"]] == [
        ("spike", 1, 2),
        ("dip", 0, 1),
    ]
    console = Console(width=150, record=True, file=io.StringIO())
    for table in (_rate_table(found), _recall_table(found)):
        console.print(table)
    text = console.export_text()
    assert "gaussian" in text
    assert "1/2" in text


def test_a_run_of_the_engine() -> None:
    """Made series are scored after their warm-up, and a strong anomaly among them is found."""
    result = measure(BudgetJob("gaussian", (0, 1, 2, 3, 4), 40, 5.0, 0, True))
    assert result.months == pytest.approx(5 * (40 - 14) / 30.44, rel=0.02)
    strong = [a for a in result.anomalies if a.kind == "spike"]
    assert strong
    assert all(slot >= 14 * PER_DAY for _, slot, _ in result.opened)
    assert any(
        series == a.series and a.start <= slot < a.end + 4
        for a in result.anomalies
        for series, slot, _ in result.opened
    )
