"""What an operator's label teaches the engine: training, regimes, thresholds, and the rate that is measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest

from daemon.engine.detection.threshold import HALVING
from daemon.engine.learning import reservoir
from daemon.engine.machine.engine import Engine
from daemon.engine.messages.events import Event
from daemon.engine.messages.inputs import LabelKind, Labelled, decode, encode
from daemon.runtime.label_evidence import _halvings
from tests.daemon.engine.small_engines import FIRST, INTERVAL, PureTrainer, engine, feed, noise, row_of, the
from tests.daemon.store.contents import event

TUNED: dict[str, Any] = {
    "warm_up": 96 * INTERVAL,
    "drift": {"adopt_after": 192 * INTERVAL},
    "model": {"retrain_every": 50, "apply_after": 4, "copies": 2},
}


def at(slot: int) -> int:
    """Start of a slot, epoch seconds."""
    return (FIRST + slot) * INTERVAL


def labelled(
    kind: LabelKind | Literal["none"], since: int, until: int, halvings: int = 0, true_alarms: int = 0
) -> Labelled:
    """A label of series `a`, slots counted as `making` does."""
    return Labelled("s", "a", kind, at(since), at(until), halvings=halvings, true_alarms=true_alarms)


def shifted(slots: range, since: int, by: float = 12.0) -> list[tuple[str, int, float]]:
    """Series `a`, whose level is another from a slot on."""
    return [(label, slot, value + (by if slot >= since else 0.0)) for label, slot, value in noise(slots)]


def reaching(made: Engine, since: int, until: int) -> int:
    """Windows that a training may draw with a slot of the period."""
    kept = the(made).reservoir
    index, _ = reservoir.draw(kept, reservoir.RECENT, (0,))
    slots = kept.slot[index] - FIRST
    return int(np.count_nonzero((slots >= since) & (slots - the(made).table.window < until)))


def test_a_fault_is_left_out_of_training() -> None:
    """Windows before the label and after it that have the period inside; a training is asked for; the gate has them."""
    trainer = PureTrainer()
    made = engine(trainer, **(TUNED | {"model": TUNED["model"] | {"retrain_every": 1000}}))
    feed(made, noise(range(240)))
    assert reaching(made, 228, 238) > 10
    made.step(labelled("fault", 228, 238))
    assert reaching(made, 228, 238) == 0
    feed(made, noise(range(240, 330)))
    assert reaching(made, 228, 238) == 0
    assert reaching(made, 260, 270) > 30
    kept = the(made).reservoir
    assert {230, 241} <= set((kept.slot[reservoir.apart(kept)] - FIRST).tolist())
    (tuned,) = [call for call in trainer.calls if call.kind == "tune"]
    assert 240 <= tuned.slot - FIRST <= 330


def test_a_fault_that_goes_on_until_later_stays_out() -> None:
    """A period may end in the future: what comes until then is not trained on either."""
    made = engine(PureTrainer(), **TUNED)
    feed(made, noise(range(240)))
    made.step(labelled("fault", 230, 280))
    feed(made, noise(range(240, 400)))
    assert reaching(made, 230, 280) == 0
    assert reaching(made, 320, 330) > 30


def test_only_what_is_called_normal_comes_back() -> None:
    """Of a fault's period its end is called normal, and so is what comes after: its beginning stays out."""
    made = engine(PureTrainer(), **TUNED)
    feed(made, noise(range(240)))
    made.step(labelled("fault", 200, 210))
    made.step(labelled("normal", 206, 239))
    assert the(made).labels.faults == {0: [(FIRST + 200, FIRST + 205)]}
    assert reaching(made, 200, 205) == 0
    assert reaching(made, 230, 239) > 10
    made.step(labelled("normal", 190, 220))
    assert the(made).labels.faults == {}
    assert reaching(made, 200, 205) > 10
    made.step(labelled("fault", 200, 210))
    made.step(labelled("normal", 204, 205))
    assert the(made).labels.faults == {0: [(FIRST + 200, FIRST + 203), (FIRST + 206, FIRST + 210)]}


def test_a_fault_taken_back_is_as_if_it_had_not_been_said() -> None:
    """Training draws what it drew, what was set apart stays apart, thresholds and the measured rate are as before."""
    made, plain = engine(PureTrainer(), **TUNED), engine(PureTrainer(), **TUNED)
    readings = [*shifted(range(210), 206), *noise(range(210, 240))]
    for each in (made, plain):
        feed(each, readings)
    made.step(labelled("fault", 200, 212, halvings=-1, true_alarms=1))
    assert reaching(made, 200, 212) == 0
    made.step(labelled("none", 200, 212, halvings=1, true_alarms=-1))
    assert the(made).labels.faults == {}
    assert reaching(made, 200, 212) == reaching(plain, 200, 212) > 0
    kept, usual = the(made).reservoir, the(plain).reservoir
    assert sorted(kept.slot[reservoir.apart(kept)]) == sorted(usual.slot[reservoir.apart(usual)])
    assert the(made).threshold_of("a") == the(plain).threshold_of("a")
    assert (the(made).scoring.rates.measured == the(plain).scoring.rates.measured).all()
    assert the(made).counters.labels == {"fault": 1, "normal": 0}


def test_of_two_faults_one_is_taken_back() -> None:
    """What the other one says of slots beyond is out of training still."""
    made = engine(PureTrainer(), **TUNED)
    feed(made, noise(range(240)))
    made.step(labelled("fault", 190, 195))
    made.step(labelled("fault", 210, 220))
    made.step(labelled("none", 190, 195))
    assert the(made).labels.faults == {0: [(FIRST + 210, FIRST + 220)]}
    assert reaching(made, 210, 220) == 0
    assert reaching(made, 190, 195) > 0


def test_an_adopted_regime_takes_no_labelled_fault_back() -> None:
    """A shift whose beginning was called a fault: what follows is adopted, that beginning is not."""
    made = engine(PureTrainer(), **(TUNED | {"drift": {"adopt_after": 96 * INTERVAL}}))
    feed(made, shifted(range(240), 200))
    made.step(labelled("fault", 200, 220))
    events = feed(made, shifted(range(240, 400), 200))
    assert [event.reasons for event in events if "drift" in event.reasons] == [("drift",)]
    assert reaching(made, 200, 220) == 0
    assert reaching(made, 260, 280) > 30


def test_a_lasting_change_called_normal_is_adopted_at_once() -> None:
    """Its episode ends, its windows are trained on, and it raises no alarm any more: days before its time."""
    said: dict[bool, list[Event]] = {}
    for normal in (False, True):
        made = engine(PureTrainer(), **TUNED)
        feed(made, shifted(range(250), 200))
        assert reaching(made, 215, 245) < 40
        assert row_of(made, "a")["episode"]
        if normal:
            (closed,) = made.step(labelled("normal", 200, 249)).events
            assert (closed.state, closed.notify) == ("closed", False)
            assert reaching(made, 215, 245) > 50
            assert the(made).episodes.open == {}
        said[normal] = feed(made, shifted(range(250, 380), 200))
    anomalous = {normal: sum(event.state == "closed" for event in events) for normal, events in said.items()}
    assert "drift" not in {reason for event in said[True] for reason in event.reasons}
    assert anomalous[True] == 0, said[True]


def test_labels_move_the_threshold_within_bounds() -> None:
    """A false alarm halves the rate, a missed fault doubles it, at most eightfold; events and metrics have it."""
    made = engine(PureTrainer(), **TUNED)
    feed(made, noise(range(200)))
    by_budget = the(made).threshold_of("a")
    made.step(labelled("normal", 150, 151, halvings=1))
    assert the(made).threshold_of("a") == pytest.approx(by_budget + HALVING)
    for _ in range(5):
        made.step(labelled("fault", 150, 151, halvings=-1))
    assert the(made).threshold_of("a") == pytest.approx(max(by_budget - 3 * HALVING, 0.5))
    (opened, *_) = feed(made, shifted(range(200, 206), 200))
    assert opened.threshold == pytest.approx(the(made).threshold_of("a"))
    assert opened.score == pytest.approx(max(opened.rarity / opened.threshold, 1.001))


def test_more_labels_than_count_are_taken_back_one_by_one() -> None:
    """Five faults missed move it as three do; when all five are taken back nothing is left of them."""
    made = engine(PureTrainer(), **TUNED)
    feed(made, noise(range(200)))
    by_budget = the(made).threshold_of("a")
    for slot in range(5):
        made.step(labelled("fault", 150 + 3 * slot, 151 + 3 * slot, halvings=-1))
    for slot in range(5):
        made.step(labelled("normal", 150 + 3 * slot, 151 + 3 * slot, halvings=1))
    assert the(made).threshold_of("a") == by_budget


def test_a_label_of_an_unknown_series_says_nothing() -> None:
    """A state rebuilt from a part of its journal may meet one: it goes on."""
    made = engine(PureTrainer(), **TUNED)
    before = made.dump()
    assert made.step(labelled("fault", 150, 151, halvings=-1, true_alarms=1)).events == []
    assert made.dump() == before


def test_a_part_called_normal_adopts_nothing() -> None:
    """Only the beginning of what lasts is called normal: the episode goes on, and the rest is not trained on."""
    made = engine(PureTrainer(), **TUNED)
    feed(made, shifted(range(250), 200))
    assert made.step(labelled("normal", 200, 205)).events == []
    assert row_of(made, "a")["episode"]
    assert reaching(made, 230, 249) < 40
    assert the(made).episodes.open != {}


def test_the_threshold_decides() -> None:
    """A reading between the budget's threshold and the one that labels made is an alarm, or is none."""
    rarities = {}
    for halvings in (-3, 0, 3):
        made = engine(PureTrainer(), **(TUNED | {"drift": {"enabled": False}, "alerts": {"novelty": False}}))
        feed(made, noise(range(300)))
        made.step(labelled("normal", 150, 151, halvings=halvings))
        feed(made, shifted(range(300, 330), 300, 1.2))
        rarities[halvings] = int(row_of(made, "a")["anomalies"][0])
    assert rarities[-3] > rarities[0] >= rarities[3]
    assert rarities[-3] > rarities[3]


def test_a_true_alarm_is_no_false_one() -> None:
    """An episode called a fault no longer counts in the measured rate; called normal after all, it does again."""
    made = engine(PureTrainer(), **TUNED)
    feed(made, [*shifted(range(210), 206), *noise(range(210, 240))])
    measured = the(made).scoring.rates.measured
    before = int(measured[:, 2].sum())
    assert before >= 1
    made.step(labelled("fault", 206, 209, true_alarms=1))
    assert measured[:, 2].sum() == before - 1
    made.step(labelled("normal", 206, 209, true_alarms=-1))
    assert measured[:, 2].sum() == before
    assert the(made).counters.labels == {"fault": 1, "normal": 1}


def test_the_state_comes_back_with_its_labels() -> None:
    """A label through the journal's bytes, a dump and a load: the same bits as without, then and later."""
    item = labelled("fault", 200, 210, -1, 2)
    assert decode(*encode(item)) == item
    made, straight = engine(PureTrainer(), **TUNED), engine(PureTrainer(), **TUNED)
    for each in (made, straight):
        feed(each, noise(range(240)))
    straight.step(item)
    made.step(decode(*encode(item)))
    loaded = Engine(PureTrainer())
    loaded.load(made.dump())
    for each in (loaded, straight):
        feed(each, noise(range(240, 330)))
    assert loaded.dump() == straight.dump()


@pytest.mark.parametrize(
    ("series", "since", "until", "why"),
    [
        ("b", 100, 110, "there is no series 'b'"),
        ("a", -50, -40, "had no reading in that period yet"),
        ("a", 110, 100, "ends before it begins"),
        ("a", 300, 310, "has no reading from that period on yet"),
        ("new", 190, 200, "new is warming, nothing has been learned from it"),
    ],
)
def test_what_cannot_be_labelled_is_refused(series: str, since: int, until: int, why: str) -> None:
    """Before it is journaled, with the reason."""
    made = engine(PureTrainer(), **TUNED)
    feed(made, [*noise(range(200)), ("new", 199, 1.0)])
    with pytest.raises(ValueError, match=why):
        the(made).check_label(series, at(since), at(until))


def test_what_was_said_of_a_fault_moves_no_threshold() -> None:
    """A gap that is called a fault was said; a false alarm below the threshold, by a rule, was not raised by rarity."""
    fault, normal = labelled("fault", 100, 110), labelled("normal", 100, 110)
    gap = replace(event("g"), reasons=("gap",))
    assert _halvings(fault, []) == -1
    assert _halvings(fault, [gap]) == 0
    assert _halvings(normal, [gap]) == 0
    assert _halvings(normal, [replace(event("r"), reasons=("model",), rarity=2.0, threshold=3.0)]) == 0
    assert _halvings(normal, [replace(event("a"), reasons=("model",), rarity=3.5, threshold=3.0)]) == 1
