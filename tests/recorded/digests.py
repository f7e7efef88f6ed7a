"""SHA-256 of state and events of inputs of every kind: `python -m tests.recorded.digests`, before a change and after.

A change that is to change no behaviour prints the same lines on the same machine. They are recorded nowhere: another
processor rounds otherwise in the last bit, and a tuned network carries that into everything.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator

from daemon.engine.machine.engine import Engine
from daemon.engine.messages.events import Event
from daemon.engine.messages.inputs import Delivered
from tests.daemon.engine.learning.test_operator_labels import TUNED, labelled, shifted
from tests.daemon.engine.learning.test_rollback import SETTINGS, SLOTS, BadTrainer
from tests.daemon.engine.machine.test_batches import CASES, cut
from tests.daemon.engine.small_engines import STREAM, PureTrainer, engine, feed, noise, together

Run = tuple[list[Event], Engine]


def of_batches(name: str) -> Run:
    """A case of test_batches, in batches of seven."""
    case = CASES[name]
    whole, made = case.batch(), engine(PureTrainer(), **case.stream)
    events = [event for part in cut(whole, list(range(0, len(whole), 7))) for event in made.step(part).events]
    return events, made


def with_labels() -> Run:
    """A shift that an operator calls normal, and a fault."""
    made = engine(PureTrainer(), **TUNED)
    events = feed(made, shifted(range(240), 200))
    events += made.step(labelled("fault", 205, 215)).events
    events += made.step(labelled("normal", 220, 240)).events
    return events + feed(made, shifted(range(240, 400), 200)), made


def with_rollback() -> Run:
    """Trainings that are promoted, and one that is taken back."""
    made = engine(BadTrainer(), **SETTINGS)
    return feed(made, noise(range(SLOTS))), made


def by_deliveries() -> Run:
    """Nightly files, meter by meter, in the midst of which one falls silent and another is spiked."""
    made = engine(PureTrainer(), arrival="batch", warm_up=96 * 1800, model={"retrain_every": 100})
    events: list[Event] = []
    for start in range(0, 480, 48):
        meters = [noise(range(start, start + 48), name) for name in "abc" if not (name == "b" and start > 300)]
        rows = [(name, slot, value + 40 * (slot in (400, 401))) for meter in meters for name, slot, value in meter]
        events += feed(made, rows)
        events += made.step(Delivered(STREAM)).events
    return events, made


def with_spikes() -> Run:
    """Several meters, spikes in one of them, in one batch."""
    made = engine(PureTrainer(), warm_up=96 * 1800, model={"retrain_every": 100, "copies": 2})
    spiked = [(name, slot, value + 30 * (slot in (300, 301, 380))) for name, slot, value in noise(range(420), "b")]
    return feed(made, together(noise(range(420)), spiked, noise(range(420), "c"))), made


INPUTS: dict[str, Callable[[], Run]] = {
    **{f"batches of {name}": (lambda name=name: of_batches(name)) for name in CASES},  # type: ignore[misc]
    "labelled": with_labels,
    "promotions and a rollback": with_rollback,
    "deliveries": by_deliveries,
    "spikes": with_spikes,
}


def digests(run: Run) -> tuple[str, str]:
    """SHA-256 of the state and of all event revisions."""
    events, made = run
    told = "".join(json.dumps(event.to_json(), sort_keys=True) + "\n" for event in events)
    return hashlib.sha256(made.dump()).hexdigest(), hashlib.sha256(told.encode()).hexdigest()


def lines() -> Iterator[str]:
    """A line an input: both digests, how many revisions, its name."""
    for name, make in INPUTS.items():
        events, made = make()
        state, told = digests((events, made))
        yield f"{state[:32]} {told[:32]} {len(events):5d} {name}"


if __name__ == "__main__":
    for line in lines():
        print(line, flush=True)
