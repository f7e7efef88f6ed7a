"""How a series joins: warm-up, gaps that extend it, bounded work, a slot's readings that do not wait for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pytest

from adapters.formats.number_text import LARGEST
from daemon.engine.learning import admission
from daemon.engine.machine.corroboration import CONTINUED
from daemon.engine.messages.inputs import Command, Promoted
from daemon.engine.table.series import QUEUED, READY, WARMING
from tests.daemon.engine.small_engines import (
    FIRST,
    INTERVAL,
    STREAM,
    FailingTrainer,
    PureTrainer,
    Row,
    bundle,
    engine,
    feed,
    noise,
    row_of,
    the,
    together,
)

EXTREMES: dict[str, Callable[[int], float]] = {
    "from side to side": lambda slot: [LARGEST, -LARGEST][slot % 2],
    "all the largest": lambda slot: LARGEST,
    "one of them": lambda slot: LARGEST if slot == 7 else float(slot % 5),
    "after the warm-up": lambda slot: (-1) ** slot * (LARGEST if slot > 30 else float(slot % 5)),
    "the smallest": lambda slot: 5e-324 * (slot % 7),
}


def infinite(records: npt.NDArray[Any]) -> list[str]:
    """Fields of an array that hold an infinite number."""
    if records.dtype.names is None:
        return ["it"] if records.dtype.kind == "f" and bool(np.isinf(records).any()) else []
    return [f"{name}.{one}" for name in records.dtype.names for one in infinite(records[name])]


@pytest.mark.parametrize("shape", EXTREMES)
@pytest.mark.parametrize(
    "stream",
    [{}, {"aggregate": "sum"}, {"kind": "counter"}, {"model": {"scaling": "none"}}, {"alerts": {"min_deviation": 1.0}}],
    ids=lambda stream: next(iter(stream), "plain"),
)
def test_the_largest_numbers_there_may_be_overflow_nothing(shape: str, stream: dict[str, Any]) -> None:
    """In the warm-up and after it: no warning, every event can be said, nothing in the state is infinite."""
    made = engine(**stream)
    for slot in range(40):
        readings: list[Row] = [("a", slot, EXTREMES[shape](slot))] * (3 if "aggregate" in stream else 1)
        readings += [("other", slot, 10.0 * slot)] if "kind" in stream else noise([slot], "other")
        for event in feed(made, readings):
            orjson.dumps(event.to_json())
    arrays = the(made).table.arrays._asdict()
    assert the(made).learner.champion is not None
    numbers = {
        name: array for name, array in arrays.items() if name not in ("ring", "history")
    }  # there it is no number
    assert [name for name, array in numbers.items() if infinite(array[: the(made).table.used])] == []
    assert np.isfinite(row_of(made, "other")["error"])


def status(slots: list[int], **stream: Any) -> int:
    """Status of a series that reported in these slots, beside one that always did; a bundle is in service."""
    made = engine(**stream)
    made.step(Promoted(STREAM, bundle().to_bytes()))
    feed(made, together(noise(slots), noise(range(max(slots) + 2), "other")))
    return int(row_of(made, "a")["status"])


def test_a_series_is_ready_when_its_warm_up_is_closed() -> None:
    """Sixteen slots of warm-up: ready once the sixteenth is closed, not before."""
    assert status(list(range(15))) == WARMING
    assert status(list(range(16))) == READY


def test_no_model_speaks_during_the_warm_up() -> None:
    """In warm-up there is no rarity, no novelty and no episode of these reasons, however odd the values."""
    made = engine()
    rows: list[Row] = [(label, slot, 1e6 * (slot == 9) + value) for label, slot, value, *_ in noise(range(16))]
    assert feed(made, rows) == []
    assert row_of(made, "a")["rarity"] == 0.0


def test_gaps_extend_the_warm_up() -> None:
    """With fewer windows to score than a window has slots a warm-up goes on, an eighth of its length at a time."""
    few = [0, 1, 2, *range(12, 16)]
    assert status(few) == WARMING
    assert status([*few, 16]) == WARMING
    assert status([*few, *range(16, 26)]) == READY


@pytest.mark.parametrize("extra", [0, 40])
def test_a_series_of_which_no_window_can_be_scored_stays_in_warm_up(extra: int) -> None:
    """One reading in every third slot fills a third of the warm-up and no window: it waits, and nothing breaks."""
    trainer = PureTrainer()
    made = engine(trainer)
    feed(made, noise(range(0, 60, 3)))
    assert row_of(made, "a")["status"] == WARMING
    assert trainer.calls == []
    feed(made, noise(range(60, 60 + extra)))
    assert row_of(made, "a")["status"] == (READY if extra else WARMING)


def test_the_warm_up_command_passes_over_what_cannot_be_scored() -> None:
    """The command leaves a series without a single window in warm-up."""
    trainer = PureTrainer()
    made = engine(trainer)
    feed(made, noise(range(0, 60, 3)))
    assert made.step(Command("warm_up", STREAM)).joined == 0
    assert row_of(made, "a")["status"] == WARMING
    assert trainer.calls == []


@pytest.mark.parametrize("failures", [0, 1])
def test_a_series_that_falls_silent_while_it_waits_warms_up_again(failures: int) -> None:
    """When nothing is left to score, or to train on anew, as the training ends, the series goes on warming up."""
    made = engine(FailingTrainer(failures), model={"apply_after": 40})
    feed(made, noise(range(19)))
    assert row_of(made, "a")["status"] == QUEUED
    feed(made, noise([52, 55, 58]))
    assert row_of(made, "a")["status"] == WARMING
    assert the(made).learner.outcomes["failed"] == failures
    feed(made, noise(range(59, 140)))
    assert row_of(made, "a")["status"] == READY


def test_joins_are_bounded_per_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of five series that are due at once, two join in each slot, in the order of their rows."""
    monkeypatch.setattr(admission, "LEAST_PER_SLOT", 2)
    monkeypatch.setattr(admission, "SPREAD_SLOTS", 5)
    made = engine()
    made.step(Promoted(STREAM, bundle().to_bytes()))
    ready = []
    for slot in range(20):
        feed(made, together(*(noise([slot], f"s{n}") for n in range(5))))
        ready.append((the(made).table.rows["status"] == READY).tolist())
    assert [sum(each) for each in ready[15:]] == [0, 2, 4, 5, 5]
    assert ready[16] == [True, True, False, False, False]


def test_warm_up_memory_is_given_back() -> None:
    """Once no series is in warm-up its values take no memory."""
    made = engine()
    feed(made, noise(range(30)))
    assert len(the(made).table.arrays.history) == 0


def test_the_ring_continues_the_warm_up() -> None:
    """A series joins with its last window's values, scaled by the warm-up's range; gaps stay gaps."""
    made = engine()
    made.step(Promoted(STREAM, bundle().to_bytes()))
    rows = noise([slot for slot in range(16) if slot != 13])
    feed(made, [*rows, *noise([16])])
    stream = the(made)
    values = np.array([row[2] for row in rows])
    ring = [stream.table.arrays.ring[0, (FIRST + slot) % 8, 0] for slot in range(9, 16)]
    scaled = (values[-6:] - values.min()) / np.ptp(values)
    assert np.isnan(ring[4])
    assert np.allclose(np.delete(ring, 4), scaled, atol=1e-6)


def test_a_year_without_readings_costs_little() -> None:
    """A counter's first reading, then one a year later at one-second slots: the time between is not walked through."""
    made = engine(interval=1, warm_up=60, kind="counter", retire_after=400 * 86400)
    feed(made, [("a", 0, 1.0), ("b", 0, 1.0), ("b", 1, 2.0)], interval=1)
    feed(made, [("b", 365 * 86400 + k, 3.0) for k in range(CONTINUED)], interval=1)  # so many, and it is believed
    assert row_of(made, "a")["mature"] > FIRST + 365 * 86400 - INTERVAL
