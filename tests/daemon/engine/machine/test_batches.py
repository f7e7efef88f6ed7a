"""Batches do not matter: however the same readings are cut, events and state are the same, bit for bit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.engine.machine.engine import Engine
from daemon.engine.messages.events import Event
from daemon.engine.messages.inputs import Batch, Configured, Promoted
from tests.daemon.engine.small_engines import (
    FIRST,
    STREAM,
    PureTrainer,
    Row,
    batch,
    bundle,
    config,
    engine,
    feed,
    noise,
    the,
    together,
)

DAY = 48
RETIRE_S = 20 * 1800


@dataclass(frozen=True)
class Case:
    """A configuration and readings for it."""

    seed: int
    stream: dict[str, Any]
    slots: int = 70
    series: int = 4
    folds: bool = False
    jitter: bool = False

    @property
    def width(self) -> int:
        """Variables of a reading."""
        value = self.stream.get("format", {}).get("value", "value")
        return 1 if isinstance(value, str) else len(value)

    def batch(self) -> Batch:
        """All readings in one batch, in an order and with the gaps that a bad day brings."""
        rng = np.random.default_rng(self.seed)
        placed = sorted(self._rows(rng), key=lambda row: row[0])
        rows = [row for _, row in placed]
        end = self.stream.get("stamp") == "end"
        made = batch(rows, rejected={"bad_value": 3, "bad_time": 1}, width=self.width, end=end)
        if not self.jitter:
            return made
        off = rng.integers(-400_000, 400_000, len(made)) + 20_000 * (made.at_ms // 1_800_000 - FIRST)
        return replace(
            made, at_ms=made.at_ms + off, quality=rng.choice(4, len(made), p=[0.8, 0.1, 0.05, 0.05]).astype(np.int8)
        )

    def _rows(self, rng: np.random.Generator) -> list[tuple[float, Row]]:
        rows: list[tuple[float, Row]] = []
        for name in range(self.series):
            start = 0 if name == 0 else int(rng.integers(0, self.slots // 2)) * int(rng.random() < 0.5)
            silent = int(rng.integers(0, self.slots)), int(rng.integers(0, self.slots))
            level, constant = rng.normal(0, 5), rng.random() < 0.15
            for slot in range(start, self.slots):
                if silent[0] <= slot < silent[1] or rng.random() < 0.06:
                    continue
                spike = 40.0 * (rng.random() < 0.03)
                value = np.full(self.width, level + 3 * np.sin(slot * 2 * np.pi / DAY) + spike)
                value += 0.0 if constant else rng.normal(0, 0.3, self.width)
                if self.stream.get("kind") == "counter":
                    value = np.abs(value) + 5.0 * (slot % 23)
                fold = 3600 if self.folds and 30 <= slot < 34 else 0
                named = slot - 2 if fold and slot >= 32 else slot
                for copy in range(1 + int(rng.random() < 0.15) * int(rng.integers(1, 3))):
                    late = rng.exponential(4) if rng.random() < 0.1 else 0.0
                    order = slot + late + 0.001 * name + 1e-6 * copy
                    rows.append((order, (f"series-{name}", named, list(value + copy), fold)))
        return rows


def run(
    case: Case, parts: list[Batch], trainer: PureTrainer, *, reload_each: bool = False
) -> tuple[list[Event], Engine]:
    """Events and engine after all parts; with `reload_each`, through a dump and a load before each."""
    made = Engine(trainer)
    made.step(Configured(config(**case.stream)))
    events: list[Event] = []
    for part in parts:
        if reload_each:
            dumped = made.dump()
            made = Engine(PureTrainer())
            made.load(dumped)
            assert made.dump() == dumped
        events += made.step(part).events
    return events, made


def cut(whole: Batch, at: list[int]) -> list[Batch]:
    """Parts of a batch, cut before the readings `at`."""
    ends = sorted({0, *at, len(whole)})
    return [whole.part(a, b) for a, b in pairwise(ends)]


def assert_same(wanted: tuple[list[Event], Engine], found: tuple[list[Event], Engine]) -> None:
    """Equal events, counters and bytes; smaller differences are shown first."""
    assert [event.to_json() for event in found[0]] == [event.to_json() for event in wanted[0]]
    states = [the(made).state() for made in (wanted[1], found[1])]
    assert states[1][0] == states[0][0]
    for name, array in states[0][1].items():
        assert states[1][1][name].tobytes() == array.tobytes(), name
    assert found[1].dump() == wanted[1].dump()


TRAINED = {"model": {"retrain_every": 12, "apply_after": 4}, "retire_after": RETIRE_S, "max_series": 3}
CASES = {
    "gauge": Case(1, TRAINED),
    "late": Case(2, TRAINED | {"lateness": 3}),
    "folds": Case(3, TRAINED | {"timezone": "America/New_York"}, folds=True),
    "mean": Case(4, TRAINED | {"aggregate": "mean"}),
    "sum, late, folds": Case(5, TRAINED | {"aggregate": "sum", "lateness": 2}, folds=True),
    "last": Case(6, TRAINED | {"aggregate": "last"}),
    "counter": Case(7, TRAINED | {"kind": "counter"}),
    "end": Case(8, TRAINED | {"stamp": "end"}),
    "vector": Case(9, TRAINED | {"format": {"value": ["x", "y", "z"]}}),
    "jitter, qualities, revisions": Case(11, TRAINED | {"revisions": "take"}, jitter=True),
    "counter, jitter, revisions": Case(
        12, TRAINED | {"kind": "counter", "revisions": "take", "stamp": "end"}, jitter=True
    ),
    "mean, qualities": Case(13, TRAINED | {"aggregate": "mean"}, jitter=True),
    "limits, jitter, many": Case(
        14, {"max_series": 6, "retire_after": RETIRE_S, "alerts": {"limits": {"max": 20}}}, jitter=True, series=9
    ),
    "maintenance": Case(
        15,
        TRAINED
        | {
            "alerts": {"limits": {"max": 30}, "refractory": "0s"},
            "gap_after": 2,
            "maintenance": [
                {"weekly": "Sat 18:00", "duration": "5h"},
                {"start": "2000-01-02T03:00", "end": "2000-01-02T06:30", "series": "*4"},
                {"weekly": "Sat 10:00", "duration": "90m", "learn": False},
            ],
        },
        series=8,
    ),
    "budget of the stream": Case(
        16,
        TRAINED
        | {
            "alerts": {"limits": {"max": 30}, "refractory": "3h", "alarms_per_day": 4},
            "gap_after": 2,
            "maintenance": [{"weekly": "Sat 18:00", "duration": "5h"}],
        },
        series=8,
    ),
    "budget, mean, late": Case(
        17,
        TRAINED | {"aggregate": "mean", "lateness": 2, "alerts": {"limits": {"max": 30}, "alarms_per_day": 6}},
        series=8,
    ),
    "budget, counter, revisions": Case(
        18, TRAINED | {"kind": "counter", "revisions": "take", "alerts": {"alarms_per_day": 3}}, jitter=True, series=6
    ),
    "many": Case(10, TRAINED | {"max_series": 20}, series=24),
}


@pytest.mark.parametrize("name", CASES)
def test_batches_of_any_size_give_the_same(name: str) -> None:
    """Readings in batches of 1, 7, 1,000 and all at once: equal events and equal bytes."""
    case, trainer = CASES[name], PureTrainer()
    whole = case.batch()
    wanted = run(case, [whole], trainer)
    assert the(wanted[1]).learner.outcomes["promoted"] > (case.stream.get("model") is not None), (
        "trainings and joins lie inside"
    )
    for size in (1, 7, 1000):
        assert_same(wanted, run(case, cut(whole, list(range(0, len(whole), size))), trainer))


@pytest.mark.parametrize("name", CASES)
def test_a_dump_anywhere_continues_as_if_uninterrupted(name: str) -> None:
    """An engine that is dumped and loaded between any two batches ends as the one that was not."""
    case = CASES[name]
    whole = case.batch()
    parts = cut(whole, list(range(0, len(whole), 9)))
    assert_same(run(case, [whole], PureTrainer()), run(case, parts, PureTrainer(), reload_each=True))


STREAMS = st.fixed_dictionaries(
    {
        "lateness": st.sampled_from([0, 0, 1, 4]),
        "aggregate": st.sampled_from(["none", "none", "mean", "sum", "last"]),
        "kind": st.sampled_from(["gauge", "gauge", "counter"]),
        "stamp": st.sampled_from(["start", "end"]),
        "max_series": st.sampled_from([2, 5, 16]),
        "retire_after": st.sampled_from([4 * 1800, 12 * 1800, 60 * 1800]),
        "gap_after": st.sampled_from([1, 3]),
        "format": st.sampled_from([{"value": "value"}, {"value": "value"}, {"value": ["x", "y", "z"]}]),
        "model": st.sampled_from([{"retrain_every": 0}, {"retrain_every": 12}]),
        "alerts": st.sampled_from([{}, {}, {"alarms_per_day": 2}, {"alarms_per_day": 5, "limits": {"max": 20}}]),
    }
)


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(STREAMS, st.integers(0, 10**6), st.integers(1, 9), st.booleans(), st.lists(st.floats(0, 1), max_size=6))
def test_no_cut_matters(stream: dict[str, Any], seed: int, series: int, folds: bool, cuts: list[float]) -> None:
    """Any small input under any configuration, cut anywhere and resumed anywhere: equal events and equal bytes."""
    case, trainer = Case(seed, stream, slots=45, series=series, folds=folds), PureTrainer()
    whole = case.batch()
    wanted = run(case, [whole], trainer)
    parts = cut(whole, [int(share * len(whole)) for share in cuts])
    assert_same(wanted, run(case, parts, trainer, reload_each=True))
    assert_same(wanted, run(case, cut(whole, list(range(len(whole)))), trainer))


def test_what_is_read_is_accepted_or_rejected() -> None:
    """Every reading is counted once, whatever becomes of it: accepted, repeated, or rejected with a reason."""
    for case in CASES.values():
        whole = case.batch()
        _, made = run(case, [whole], PureTrainer())
        counters = the(made).counters
        assert counters.accepted + counters.repeated + sum(counters.rejected.values()) == len(whole) + 4


def test_a_series_does_not_depend_on_its_neighbours() -> None:
    """Under one bundle a series has the same statistics, numbers and events alone and among others.

    Rarity is learned from all series of a stream; left out here.
    """
    taken = bundle().to_bytes()

    def alone_or_not(*names: str) -> tuple[list[dict[str, Any]], bytes]:
        made = engine(model={"statistics": {"calibration": False}})
        made.step(Promoted(STREAM, taken))
        spiked = [(n, s, v + 30 * (s in (60, 61)), 0) for n, s, v in noise(range(100), "b")]
        rows = together(spiked, *(noise(range(100), name) for name in names))
        events = [event.to_json() for event in feed(made, rows) if event.series == "b"]
        table = the(made).table
        own = [
            array[table.row_of["b"]]
            for name, array in table.arrays._asdict().items()
            if name != "history" and len(array)
        ]
        return events, b"".join(array.tobytes() for array in own)

    events, numbers = alone_or_not()
    assert any(event["state"] == "closed" for event in events)
    assert alone_or_not("a", "c", "d") == (events, numbers)
