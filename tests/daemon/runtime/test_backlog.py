"""A stream that waits for a training holds back itself alone, and what becomes of all is as if nobody had waited."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.config.file import effective
from daemon.config.settings import Settings
from daemon.engine.machine.engine import Engine
from daemon.engine.messages.events import Event
from daemon.engine.messages.inputs import Batch, Command, Configured, Delivered, Input, Labelled, Promoted, Tick
from daemon.engine.messages.training_port import Outcome
from daemon.replay.rerun import rerun
from daemon.runtime.backlog import AHEAD_BYTES, AHEAD_BYTES_S, Behind, Work
from daemon.runtime.durable import DurableEngine
from daemon.store import EventFilter, Store
from models.training_request import TrainingRequest
from tests.daemon.engine.small_engines import FIRST, INTERVAL, PureTrainer, batch, bundle, config, noise

ROWS = 80
LIMIT = 100.0


class HungTrainer(PureTrainer):
    """Has no outcome of a stream's trainings until they are let go.

    Attributes:
        hung: Streams whose trainings hang.
    """

    def __init__(self, *hung: str) -> None:
        super().__init__()
        self.hung = set(hung)
        self._streams: dict[str, str] = {}
        self._calls: list[Callable[[], None]] = []

    def submit(self, request: TrainingRequest, time_limit_s: float) -> None:
        """Remember whose it is."""
        self._streams[request.id] = request.stream
        super().submit(request, time_limit_s)

    def ready(self, request_id: str, call: Callable[[], None] | None = None) -> bool:
        """Whether its stream's trainings end."""
        if self._streams[request_id] not in self.hung:
            return True
        self._calls += [] if call is None else [call]
        return False

    def result(self, request_id: str) -> Outcome:
        """Whoever asks for a training that hangs would wait for ever."""
        assert self._streams[request_id] not in self.hung, "it would wait"
        return super().result(request_id)

    def let_go(self) -> None:
        """All trainings end."""
        self.hung.clear()
        calls, self._calls = self._calls, []
        for call in calls:
            call()


def settings(most: float = LIMIT, **of_a: str) -> Settings:
    """Two streams alike, `a` and `b`, with a physical limit and many trainings; `of_a` is set of the first alone."""
    one = config(alerts={"limits": {"max": most}}, model={"retrain_every": 20})["streams"]["s"]
    return Settings.model_validate({"version": 1, "streams": {"a": one | of_a, "b": one}})


def readings(stream: str, first: int, count: int, odd: int = 47) -> Batch:
    """A batch of one stream; the reading of slot `odd` is beyond the limit."""
    rows = [
        (name, slot, 5 * LIMIT if slot == odd else value) for name, slot, value in noise(range(first, first + count))
    ]
    return replace(batch(rows), stream=stream)


def inputs(chance: random.Random) -> list[Input]:
    """Both streams' readings, cut and interleaved at random, with ticks, deliveries and a label among them."""
    found: list[Input] = []
    at = {"a": 0, "b": 0}
    while any(n < ROWS for n in at.values()):
        stream = chance.choice([name for name, n in at.items() if n < ROWS])
        count = min(chance.randint(1, 15), ROWS - at[stream])
        found.append(readings(stream, at[stream], count))
        at[stream] += count
        if chance.random() < 0.3:
            found.append(Tick(chance.randrange(1 << 40)))
        if chance.random() < 0.2:
            found.append(Delivered(stream))
    since = (FIRST + 47) * INTERVAL
    return [*found, Labelled("a", "a", "fault", since, since), Command("warm_up", "b")]


def whole(items: list[Input], chosen: Settings) -> tuple[bytes, dict[str, list[Event]]]:
    """State and events by stream of an engine that waits for everything."""
    engine = Engine(PureTrainer())
    engine.step(Configured(effective(chosen)))
    events = [event for item in items for event in engine.step(item).events]
    return engine.dump(), by_stream(events)


def by_stream(events: list[Event]) -> dict[str, list[Event]]:
    """Events of each stream in their order."""
    found: dict[str, list[Event]] = {}
    for event in events:
        found.setdefault(event.stream, []).append(event)
    return found


def recorded(store: Store) -> dict[str, list[Event]]:
    """Those in the store."""
    return by_stream([event for _, event in store.events(EventFilter(latest_only=False))])


class Woken:
    """Counts how often somebody is woken."""

    times = 0

    def __call__(self) -> None:
        self.times += 1


@contextmanager
def running(directory: Path, trainer: HungTrainer, chosen: Settings) -> Iterator[tuple[Store, DurableEngine, Woken]]:
    """An engine on a state directory that waits for no training."""
    with Store.open(directory) as store:
        durable = DurableEngine(store, trainer, wake=(woken := Woken()))
        durable.recover()
        durable.configure(chosen, 0)
        yield store, durable, woken


class LateTrainer(HungTrainer):
    """Whoever waits for what hangs is given it."""

    def result(self, request_id: str) -> Outcome:
        """The outcome."""
        self.hung.clear()
        return super().result(request_id)


def test_a_bundle_is_configured_for_a_stream_that_waits_for_its_first_model(tmp_path: Path) -> None:
    """It is asked what serves once the stream has made up: where its training has made a model, that one stays."""
    file = tmp_path / "a.safetensors"
    file.write_bytes(bundle().to_file_bytes())
    with running(tmp_path / "state", LateTrainer("a"), settings()) as (store, durable, _):
        durable.apply([readings("a", 0, ROWS // 2)], {}, 0)
        assert durable.version("a") is None
        chosen = settings().model_dump(mode="json")
        chosen["streams"]["a"]["model"]["bundle"] = str(file)
        durable.configure(Settings.model_validate(chosen), 0)
        assert not durable.behind
        assert not any(isinstance(item, Promoted) for _, item in store.entries())
        assert durable.version("a") is not None


def test_another_stream_goes_on(tmp_path: Path) -> None:
    """While one stream's training hangs the other's limit is seen at once, and its own trainings take effect."""
    with running(tmp_path, HungTrainer("a"), settings()) as (store, durable, woken):
        durable.apply([readings("a", 0, ROWS)], {}, 0)
        assert list(durable.behind) == ["a"]
        events = durable.apply([readings("b", 0, ROWS)], {}, 0)
        assert any("limit" in event.reasons for event in events)
        assert recorded(store) == {"b": events}
        assert durable.engine.streams["b"].learner.outcomes["promoted"] >= 2
        assert durable.engine.streams["b"].counters.accepted == ROWS
        assert not durable.advance()
        assert woken.times == 0


def test_what_waits_is_journaled_and_said(tmp_path: Path) -> None:
    """Readings and positions of the stream that waits are durable; it says for what it waits and what waits with it."""
    with running(tmp_path, HungTrainer("a"), settings()) as (store, durable, _):
        for first in range(0, ROWS, 10):
            durable.apply([readings("a", first, 10)], {"a/0": {"a/0:file": {"offset": first}}}, 0)
        assert store.positions("a/0") == {"a/0:file": {"offset": ROWS - 10}}
        assert store.last_seq == 1 + ROWS // 10
        status = durable.behind["a"].status()
        pending = durable.engine.streams["a"].learner.pending
        assert pending is not None
        assert (status["training"], status["inputs"]) == (pending.id, 6)
        assert status["since"] > 0


def test_it_goes_on_when_the_outcome_is_there(tmp_path: Path) -> None:
    """Whoever applies is woken, and all that waited is applied in its order."""
    trainer = HungTrainer("a")
    items: list[Input] = [readings(name, first, 10) for first in range(0, ROWS, 10) for name in "ab"]
    with running(tmp_path, trainer, settings()) as (store, durable, woken):
        for item in items:
            durable.apply([item], {}, 0)
        trainer.let_go()
        assert woken.times == 1
        while durable.advance():
            pass
        assert not durable.behind
        state, events = whole(items, settings())
        assert durable.engine.dump() == state
        assert recorded(store) == events


@pytest.mark.parametrize("arrival", ["live", "batch"])
@pytest.mark.parametrize("seed", range(6))
def test_when_it_waits_makes_no_difference(seed: int, arrival: str, tmp_path: Path) -> None:
    """Trainings hang and end at random, the daemon is killed at random: state and events are as if nobody waited."""
    chance, chosen = random.Random(seed), settings(arrival=arrival)
    items = inputs(chance)
    trainer, at, waited = HungTrainer("a", "b"), 0, 0
    while at < len(items):
        with running(tmp_path, trainer, chosen) as (store, durable, _):
            for _ in range(chance.randint(1, 12)):  # then it is killed
                taken = items[at : at + chance.randint(1, 4)]
                if any(not isinstance(item, Batch | Tick | Delivered) for item in taken):
                    trainer.let_go()
                durable.apply(taken, {}, 0)
                at += len(taken)
                waited += len(durable.behind)
                if chance.random() < 0.3:
                    trainer.let_go()
                if chance.random() < 0.5:
                    durable.advance()
                if chance.random() < 0.2 and not durable.behind:
                    durable.checkpoint()
        trainer = HungTrainer(*[name for name in "ab" if chance.random() < 0.6])
    trainer.let_go()
    assert waited
    state, events = whole(items, chosen)
    with running(tmp_path, trainer, chosen) as (store, durable, _):
        durable.settle()
        assert durable.engine.dump() == state
        assert recorded(store) == events
        durable.checkpoint()
    repeated = rerun(tmp_path, lambda done, total: None)
    assert repeated.events == repeated.recorded
    assert by_stream(repeated.events) == events


def test_a_configuration_waits_for_all(tmp_path: Path) -> None:
    """It changes every stream at one entry, so those that are behind come there first; also when that is repeated."""
    trainer, changed = HungTrainer("a"), settings(most=12.0)
    with running(tmp_path, trainer, settings()) as (_, durable, _):
        durable.apply([readings("a", 0, 40)], {}, 0)
        assert durable.behind
        trainer.let_go()
        durable.configure(changed, 0)
        assert not durable.behind
        assert durable.engine.streams["a"].counters.accepted == 40
        durable.apply([readings("a", 40, 40)], {}, 0)
        state = durable.engine.dump()
    with running(tmp_path, HungTrainer(), changed) as (_, durable, _):
        durable.settle()
        assert durable.engine.dump() == state


def test_a_checkpoint_is_the_state_after_one_entry(tmp_path: Path) -> None:
    """It is never written of a stream in the middle of an input: what waits is waited for."""
    trainer = HungTrainer("a")
    with running(tmp_path, trainer, settings()) as (store, durable, _):
        durable.apply([readings("a", 0, ROWS)], {}, 0)
        with pytest.raises(AssertionError, match="it would wait"):
            durable.checkpoint()
        assert store.checkpoint_at_ms is None
        trainer.let_go()
        durable.checkpoint()
        assert store.load_checkpoint() == (store.last_seq, durable.engine.dump())


def test_what_is_read_ahead_is_bounded() -> None:
    """A second of waiting allows so many bytes ahead, up to a bound; after the first wait, what is wanted ends it."""
    now = [0.0]
    engine = Engine(PureTrainer())
    engine.step(Configured(effective(settings())))
    item = readings("a", 0, 10)
    behind = Behind(Work(1, item, engine.begin("a", item), None, asked="a@1"), 1, monotonic=lambda: now[0])
    behind.wait()
    assert behind.may_be_read(wanted=True)
    behind.ahead_bytes = AHEAD_BYTES_S
    assert not behind.may_be_read(wanted=False)
    now[0] = 1.5
    assert behind.may_be_read(wanted=False)
    now[0], behind.ahead_bytes = 1e6, AHEAD_BYTES
    assert not behind.may_be_read(wanted=False)
    behind.ahead_bytes -= 1
    assert behind.may_be_read(wanted=True)
    behind.applied()  # it makes up now
    assert (behind.may_be_read(wanted=False), behind.may_be_read(wanted=True)) == (True, False)
    behind.put(Work(2, item, engine.begin("a", item), None, asked="a@2"))
    behind.wait()
    behind.ahead_bytes = 0
    assert (behind.may_be_read(wanted=False), behind.may_be_read(wanted=True)) == (True, False)
