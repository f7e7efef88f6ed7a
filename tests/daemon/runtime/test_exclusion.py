"""Exclude: what was learned of a period is unlearned, by repeating the past without it, whatever happens meanwhile."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daemon.cli.model_commands import in_service
from daemon.config.settings import Settings
from daemon.engine.machine.engine import Engine
from daemon.engine.messages.events import Event, latest
from daemon.engine.messages.inputs import Batch, Configured, Excluded, decode, encode
from daemon.replay.rerun import rerun
from daemon.replay.what_if import what_if
from daemon.runtime.durable import DurableEngine
from daemon.runtime.exclusion import WantedExclusion, exclude
from daemon.store import EventFilter, Store, journal, open_reader
from daemon.store.faults import Reached, nowhere
from daemon.trainer.trainer import InlineTrainer

HOUR, BEGIN, DAY = 3600, 1_772_323_200, 24
TAUGHT = range(16 * DAY, 30 * DAY)
"""Two weeks of a fault, in which it is adopted as normal."""
UNTIL, AGAIN, END = 34 * DAY, range(36 * DAY, 37 * DAY), 38 * DAY


def settings(**stream: Any) -> Settings:
    """One stream of hourly readings with small networks."""
    model = {"window": 8, "copies": 1, "retrain_every": 100, "apply_after": 4}
    tide = {"interval": HOUR, "clock": "event", "warm_up": 96 * HOUR, "max_series": 8, "model": model}
    tide |= {"alerts": {"refractory": 0}, "drift": {"adopt_after": 5 * DAY * HOUR}}
    return Settings.model_validate({"version": 1, "streams": {"tide": tide | stream}})


def readings(slots: range, series: tuple[str, ...] = ("pier", "quay"), faulty: tuple[str, ...] = ("pier",)) -> Batch:
    """A daily course with a little noise; in a fault the day of a series is turned upside down."""
    rows = []
    for i in slots:
        for code, name in enumerate(series):
            noise = np.random.default_rng([i, code]).normal() * 0.3
            odd = name in faulty and any(i in fault for fault in (TAUGHT, AGAIN))
            rows.append(
                (code, (BEGIN + i * HOUR) * 1000, 50 + (-10 if odd else 10) * np.sin(i * 2 * np.pi / DAY) + noise)
            )
    codes, at_ms, values = zip(*rows, strict=True)
    columns = np.array(codes, np.int32), np.array(at_ms, np.int64), np.zeros(len(rows), np.int32)
    return Batch("tide", 0, list(series), *columns, np.array(values).reshape(-1, 1))


def opened(state: Path, reached: Reached = nowhere) -> tuple[Store, DurableEngine]:
    store = Store.open(state, reached=reached)
    durable = DurableEngine(store, InlineTrainer())
    durable.recover()
    return store, durable


def feed(durable: DurableEngine, slots: range) -> None:
    """Two days at a time."""
    for start in range(slots.start, slots.stop, 2 * DAY):
        durable.apply([readings(range(start, min(start + 2 * DAY, slots.stop)))], {}, 0)


def teach(state: Path) -> None:
    """A journal in which a fault is learned; a checkpoint from before it, and one from after it."""
    store, durable = opened(state)
    with store:
        durable.configure(settings(), 0)
        feed(durable, range(TAUGHT.start - 2 * DAY))
        durable.checkpoint()
        feed(durable, range(TAUGHT.start - 2 * DAY, UNTIL))
        durable.checkpoint()


WANTED = WantedExclusion("tide", BEGIN + TAUGHT.start * HOUR, BEGIN + TAUGHT.stop * HOUR - 1, "pier", "valve stuck")


def go_on(state: Path) -> tuple[str, list[Event]]:
    """The fault again; SHA-256 of the state then, and every revision recorded."""
    store, durable = opened(state)
    with store:
        feed(durable, range(UNTIL, END))
        return durable.digest(), [event for _, event in store.events(EventFilter(latest_only=False))]


def found_in(events: list[Event], slots: range) -> set[str | None]:
    """Series of which an episode was said that begins within some slots."""
    spans = range(BEGIN + slots.start * HOUR, BEGIN + slots.stop * HOUR)
    return {e.series for e in latest(events) if e.started_at in spans and {"model", "novelty"} & {*e.reasons}}


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    state = tmp_path_factory.mktemp("taught") / "state"
    teach(state)
    return state


def copied(state: Path, to: Path) -> Path:
    """A copy of a state directory that nobody has open."""
    shutil.copytree(state, to)
    return to


@pytest.fixture(scope="module")
def excluded(taught: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, list[Event]]:
    """A state directory after the exclusion and the fault again; its state and its events."""
    state = copied(taught, tmp_path_factory.mktemp("excluded") / "state")
    store, durable = opened(state)
    with store:
        answer = exclude(durable, WANTED, 0)
        assert (answer["matched"], answer["entry"]) == (1, store.last_seq)
    digest, events = go_on(state)
    return state, digest, events


def test_a_taught_fault_is_found_again(taught: Path, excluded: tuple[Path, str, list[Event]], tmp_path: Path) -> None:
    """The detector that has learned two weeks of a fault does not find it; after they are excluded it does."""
    _, learned = go_on(copied(taught, tmp_path / "state"))
    assert found_in(learned, TAUGHT) == {"pier"}
    assert found_in(learned, AGAIN) == set()
    _, _, events = excluded
    assert found_in(events, AGAIN) == {"pier"}
    assert max(e.score for e in events if e.started_at >= BEGIN + AGAIN.start * HOUR) > 2
    assert [e for e in events if e.at < BEGIN + UNTIL * HOUR] == [e for e in learned if e.at < BEGIN + UNTIL * HOUR]


def test_the_journal_repeats_it(excluded: tuple[Path, str, list[Event]]) -> None:
    """Repeated from its first entry, the journal gives the same bits, and the very revisions that were recorded."""
    state, digest, events = excluded
    again = rerun(state, lambda done, total: None)
    assert again.state_sha256 == digest
    assert again.events == again.recorded == events


def test_from_a_checkpoint_or_from_nothing_is_the_same(
    taught: Path, excluded: tuple[Path, str, list[Event]], tmp_path: Path
) -> None:
    """The state does not depend on where its repetition begins, and recovery over the entry comes to it, too."""
    state = copied(taught, tmp_path / "state")
    for path in (state / "checkpoints").iterdir():
        path.unlink()
    store, durable = opened(state)
    with store:
        exclude(durable, WANTED, 0)
    assert go_on(state) == excluded[1:]
    assert not list((state / "checkpoints").iterdir())
    _, durable = recovered = opened(state)
    with recovered[0]:
        assert durable.digest() == excluded[1]


def test_models_that_have_learned_of_it_serve_no_more(excluded: tuple[Path, str, list[Event]]) -> None:
    """Those trained since the period began are marked rolled back by the entry; the one in service is trained anew."""
    with open_reader(excluded[0]) as reader:
        entry, item = reader.excluded()[0]
        models = reader.models()
    assert (item.series, item.note) == ("pier", "valve stuck")
    old = [r for r in models if r.seq < entry and r.manifest["trained_to"] >= WANTED.since]
    assert old
    assert all((r.status, r.manifest["excluded"]) == ("rolled_back", entry) for r in old)
    serving = in_service(models)
    assert len(serving) == 1
    assert next(iter(serving)).endswith("-1")


def die(state: Path, point: str) -> None:
    """In a process of its own: exclude, and go on, with kill -9 at a point, or while the past is repeated."""

    def reached(name: str) -> None:
        if name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    store, durable = opened(state)
    if point == "repeating":
        durable.repeating = lambda done, total: reached("repeating") if 2 * done > total else None
    store._reached = reached
    store._database._reached = reached
    store._files._reached = reached
    with store:
        exclude(durable, WANTED, 0)
        durable.checkpoint()
        reached("done")


POINTS = ("journal.before_commit", "journal.after_commit", "model.before_rename", "model.after_record", "repeating",
          "checkpoint.before_rename", "checkpoint.after_rename", "done")  # fmt: skip


@pytest.mark.parametrize("point", POINTS)
def test_killed_at(point: str, taught: Path, excluded: tuple[Path, str, list[Event]], tmp_path: Path) -> None:
    """After kill -9 at any step the next start takes it up; it is done wholly, or was never asked for."""
    state = copied(taught, tmp_path / "state")
    child = multiprocessing.get_context("forkserver").Process(target=die, args=(state, point))
    child.start()
    child.join(120)
    assert child.exitcode == -signal.SIGKILL
    if point == "journal.before_commit":
        store, durable = opened(state)
        with store:
            assert not store.excluded()
            exclude(durable, WANTED, 0)
    assert go_on(state) == excluded[1:]
    with open_reader(state) as reader:
        assert reader.check() == []


def test_what_cannot_be_excluded(taught: Path, tmp_path: Path) -> None:
    """What is refused changes nothing, and says what to do."""
    store, durable = opened(copied(taught, tmp_path / "state"))
    with store:
        before = store.last_seq
        for wanted, why in (
            (replace(WANTED, stream="surge"), "no stream 'surge'"),
            (replace(WANTED, series="p?er-*"), "no series of tide is called 'p\\?er-\\*'"),
            (replace(WANTED, until=WANTED.since - HOUR), "ends before it begins"),
            (replace(WANTED, until=BEGIN + END * HOUR), "ends after the newest reading"),
            (replace(WANTED, since=BEGIN + END * HOUR), "a window of maintenance"),
            (replace(WANTED, note="two\nlines"), "a note is one line"),
        ):
            with pytest.raises(ValueError, match=why):
                exclude(durable, wanted, 0)
        assert store.last_seq == before
        exclude(durable, WANTED, 0)
        with pytest.raises(ValueError, match="taken out already"):
            exclude(durable, replace(WANTED, note="again"), 0)
        durable.checkpoint()
        durable.checkpoint()
        store.prune(0.0, 1 << 40, 10**15)
        with pytest.raises(ValueError, match="no state of tide from before the period is kept"):
            exclude(durable, replace(WANTED, since=WANTED.since - HOUR), 0)


def test_a_past_that_is_gone_does_not_stop_the_daemon(taught: Path, tmp_path: Path) -> None:
    """A recovery that finds the entry, but no state from before the period any more, goes on and leaves it at that."""
    state = copied(taught, tmp_path / "state")
    store, durable = opened(state)
    with store:
        exclude(durable, WANTED, 0)
        oldest = min(store._files.sequences())
        store._files.path(oldest).unlink()
        journal.drop(store._database, oldest + 1)
        store._mark.note(floor=oldest + 1)
    store, durable = opened(state)
    with store:
        assert durable.engine.streams["tide"].table.excluded.periods
        feed(durable, range(UNTIL, END))
    assert found_in(go_on_nothing(state), AGAIN) == set()


def go_on_nothing(state: Path) -> list[Event]:
    with open_reader(state) as reader:
        return [event for _, event in reader.events()]


def test_two_periods(taught: Path, tmp_path: Path) -> None:
    """A second exclusion keeps the first, in whichever order they lie; the journal repeats both."""
    state = copied(taught, tmp_path / "state")
    early = WantedExclusion("tide", BEGIN + 8 * DAY * HOUR, BEGIN + 9 * DAY * HOUR)
    store, durable = opened(state)
    with store:
        exclude(durable, WANTED, 0)
        durable.checkpoint()
        exclude(durable, early, 0)
        assert len(durable.engine.streams["tide"].table.excluded.periods) == 2
        digest = durable.digest()
    again = rerun(state, lambda done, total: None)
    assert again.state_sha256 == digest
    assert again.events == again.recorded


def test_an_open_episode_that_is_none_is_closed(tmp_path: Path) -> None:
    """What is open without the period is told, and what was open because of it is closed, each once."""
    state = tmp_path / "state"
    store, durable = opened(state)
    with store:
        durable.configure(settings(), 0)
        feed(durable, range(TAUGHT.start))
        durable.checkpoint()
        feed(durable, range(TAUGHT.start, TAUGHT.start + 6))
        before = store.events(EventFilter(state="open"))
        assert [e.series for _, e in before] == ["pier"]
        exclude(durable, replace(WANTED, until=BEGIN + (TAUGHT.start + 5) * HOUR), 0)
        after = [e for _, e in store.events(EventFilter(latest_only=False))]
    assert (after[-1].id, after[-1].state, after[-1].revision) == (before[0][1].id, "closed", before[0][1].revision + 1)
    again = rerun(state, lambda done, total: None)
    assert again.events == again.recorded == after


def test_a_fault_that_lasts_is_told_when_its_lesson_is_excluded(taught: Path, tmp_path: Path) -> None:
    """The fault that is there again, unnoticed, is an open event from the exclusion on."""
    state = copied(taught, tmp_path / "state")
    store, durable = opened(state)
    with store:
        feed(durable, range(UNTIL, AGAIN.start + 8))
        assert found_in([e for _, e in store.events()], AGAIN) == set()
        exclude(durable, WANTED, 0)
        told = [e for _, e in store.events(EventFilter(state="open"))]
    assert [(e.series, e.revision, e.notify) for e in told] == [("pier", 0, True)]
    assert found_in(told, AGAIN) == {"pier"}


def test_what_if_knows_it_from_the_beginning(taught: Path, tmp_path: Path) -> None:
    """A what-if repeats the past with the period left out all along: nothing of it is said."""
    state = copied(taught, tmp_path / "state")
    store, durable = opened(state)
    with store:
        exclude(durable, WANTED, 0)
    found = what_if(state, settings())
    assert found_in(found.happened, TAUGHT) == {"pier"}
    assert found_in(found.imagined, TAUGHT) == set()


def test_bytes() -> None:
    """An exclusion is journaled like any input, and comes back as it was."""
    item = Excluded("tide", "p*", 1, 2, "why", 3)
    assert decode(*encode(item)) == item


def test_it_means_what_a_window_that_teaches_nothing_means() -> None:
    """An engine that is told beforehand ends with the same series as under maintenance with `learn: false`."""
    window = {"series": "p*", "start": "2026-03-01T10:00", "end": "2026-03-01T20:00", "learn": False}
    states = []
    for chosen in (settings(maintenance=[window]), settings()):
        engine = Engine(InlineTrainer())
        engine.step(Configured(chosen.model_dump(mode="json")))
        if not chosen.streams["tide"].maintenance:
            engine.step(Excluded("tide", "p*", BEGIN + 10 * HOUR, BEGIN + 19 * HOUR))
        batch = readings(range(30))
        batch.values[(batch.at_ms >= (BEGIN + 10 * HOUR) * 1000) & (batch.at_ms < (BEGIN + 20 * HOUR) * 1000)] = 1000.0
        engine.step(batch)
        assert engine.streams["tide"].counters.accepted == 60
        states.append({name: each.tobytes() for name, each in engine.streams["tide"].table.state()[1].items()})
    assert states[0] == states[1]
    taught = Engine(InlineTrainer())
    taught.step(Configured(settings().model_dump(mode="json")))
    taught.step(batch)
    assert taught.streams["tide"].table.state()[1]["history"].tobytes() != states[0]["history"]
