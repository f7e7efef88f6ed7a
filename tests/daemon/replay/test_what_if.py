"""What if: the journal under another configuration is what a replay under it gives, and nothing is written."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daemon.config.change import RefusedError
from daemon.config.settings import Settings
from daemon.engine.messages.events import Event, latest
from daemon.engine.messages.inputs import Labelled
from daemon.replay.replay import ReplayReport, replay
from daemon.replay.what_if import unmatched, what_if
from daemon.runtime.durable import DurableEngine
from daemon.runtime.label_evidence import WantedLabel, label
from daemon.store import Store
from daemon.trainer.trainer import InlineTrainer

HOUR, BEGIN, COUNT = 3600, 1_772_323_200, 900


def settings(budget: float = 1.0, stream: dict[str, Any] | None = None, **model: Any) -> Settings:
    """One stream of hourly readings with small networks, and a budget of false alarms."""
    small = {"window": 8, "copies": 1, "retrain_every": 200, "apply_after": 4} | model
    alerts = {"false_alarms_per_month": budget, "refractory": 0}
    tide = {"interval": HOUR, "clock": "event", "warm_up": 96 * HOUR, "model": small, "alerts": alerts} | (stream or {})
    return Settings.model_validate({"version": 1, "streams": {"tide": tide}})


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hourly readings of one series with odd ones of all sizes among them."""
    chance, lines = np.random.default_rng(5), ["timestamp,value"]
    for i in range(COUNT):
        value = 50 + 10 * np.sin(i * 2 * np.pi / 24) + chance.normal() * 0.5
        value += 0.4 * (i % 29) if i > 200 and i % 37 == 0 else 0.0
        lines.append(f"{BEGIN + i * HOUR},{value:.4f}")
    path = tmp_path_factory.mktemp("readings") / "tide.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def under(file: Path, chosen: Settings, state: Path | None = None, rows: int = 50) -> ReplayReport:
    """What a replay under settings gives, journaled where a state directory is named."""
    if state is None:
        return replay(file, chosen, "tide", InlineTrainer())
    with Store.open(state) as store:
        durable = DurableEngine(store, InlineTrainer())
        durable.recover()
        report = replay(file, chosen, "tide", InlineTrainer(), durable=durable, rows=rows)
        durable.checkpoint()
        return report


@pytest.fixture(scope="module")
def recorded(file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ReplayReport]:
    """A state directory whose journal was written under a small budget, and what was said then."""
    state = tmp_path_factory.mktemp("recorded") / "state"
    return state, under(file, settings(), state)


def files_of(state: Path) -> dict[str, str]:
    """Checksums of all files of a state directory but what any reader of SQLite makes: its shared memory, no log."""
    found = (path for path in state.rglob("*") if path.is_file() and not path.name.endswith(("-shm", "-wal")))
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def overlapped(event: Event, others: list[Event]) -> bool:
    """Whether an event has another of its kind at its time; a second way to say what `unmatched` does."""
    drift = "drift" in event.reasons
    alike = [other for other in others if ("drift" in other.reasons) == drift]
    return any(max(event.started_at, each.started_at) <= min(event.ended_at, each.ended_at) for each in alike)


def test_it_equals_a_replay_under_the_other_configuration(file: Path, recorded: tuple[Path, ReplayReport]) -> None:
    """Events gained and lost are those by which a replay under the other budget differs; nothing is written."""
    state, before = recorded
    files = files_of(state)
    found = what_if(state, settings(20.0))
    then, other = latest(before.events), latest(under(file, settings(20.0)).events)
    assert {e.id: e for e in found.imagined} == {e.id: e for e in other}
    assert {e.id: e for e in found.happened} == {e.id: e for e in then}
    assert {e.id for e in found.gained} == {e.id for e in other if not overlapped(e, then)} != set()
    assert {e.id for e in found.lost} == {e.id for e in then if not overlapped(e, other)}
    assert (found.whole, found.notes) == (True, [])
    assert sum(now for _, _, now in found.alarms()) == sum(e.notified for e in other)
    assert found.to_json()["alarms_a_day"] == sum(e.notified for e in then) / found.days
    assert files_of(state) == files


def test_under_the_same_configuration_nothing_differs(recorded: tuple[Path, ReplayReport]) -> None:
    """What if nothing had been different: neither gained nor lost, and the very same events."""
    found = what_if(recorded[0], settings())
    assert (found.gained, found.lost) == ([], [])
    assert found.imagined == found.happened


def test_another_model_is_learned_from_the_beginning(file: Path, recorded: tuple[Path, ReplayReport]) -> None:
    """What needs a state of its own, such as another window or interval, is had by a journal that is whole."""
    chosen = settings(5.0, {"warm_up": 120 * HOUR}, window=12)
    found = what_if(recorded[0], chosen)
    assert {e.id: e for e in found.imagined} == {e.id: e for e in latest(under(file, chosen).events)}


def test_how_readings_came_in_stays(recorded: tuple[Path, ReplayReport]) -> None:
    """Format, clock and arrival are those of the recording, and it is said where others were asked for."""
    found = what_if(recorded[0], settings(1.0, {"clock": "wall", "format": {"value": "other"}, "arrival": "batch"}))
    assert found.imagined == found.happened
    assert "streams.tide.format, streams.tide.clock, streams.tide.arrival as recorded" in found.notes[0]


def test_streams_that_are_in_one_only_are_named(recorded: tuple[Path, ReplayReport]) -> None:
    """A stream without recorded readings, and readings of a stream that is not configured, are told of."""
    data = settings().model_dump(mode="json")
    data["streams"]["surge"] = data["streams"].pop("tide")
    found = what_if(recorded[0], Settings.model_validate(data))
    assert found.imagined == []
    assert found.notes[0] == "of stream surge nothing is recorded"
    assert "of stream tide, which the configuration does not have" in found.notes[1]


@pytest.fixture
def grown(file: Path, tmp_path: Path) -> Path:
    """A state directory with a checkpoint in the middle of its journal."""
    lines, half, rest = file.read_text().splitlines(), tmp_path / "half", tmp_path / "rest"
    for folder, part in ((half, lines[: COUNT // 2]), (rest, [lines[0], *lines[COUNT // 2 :]])):
        folder.mkdir()
        (folder / "tide.csv").write_text("\n".join(part) + "\n")
        under(folder / "tide.csv", settings(), tmp_path / "state")
    return tmp_path / "state"


def test_since_begins_with_a_checkpoint(grown: Path) -> None:
    """With an instant the state from before it goes on under the other budget, and only what was after is compared."""
    middle = BEGIN + (COUNT // 2 + 10) * HOUR
    found = what_if(grown, settings(20.0), since=middle)
    assert not found.whole
    assert found.since == middle
    assert "what was learned before is as it was" in found.notes[0]
    assert found.gained
    assert all(e.ended_at >= middle for e in (*found.happened, *found.imagined))
    ago = what_if(grown, settings(20.0), ago=found.until - middle)
    assert replace(ago, notes=[]) == replace(found, notes=[])


def test_since_cannot_build_another_state(grown: Path) -> None:
    """What the state was built on cannot be another from the middle on; the error says what to do."""
    with pytest.raises(RefusedError, match=r"tide.model.window.*; leave --since out"):
        what_if(grown, settings(window=12), since=BEGIN + (COUNT - 10) * HOUR)


def test_a_pruned_journal_is_asked_from_where_it_begins(grown: Path) -> None:
    """Without its beginning the oldest checkpoint is where it begins, and that is said."""
    with Store.open(grown) as store:
        store.prune(0.0, 1 << 40, 10**15)
        assert store.first_seq > 1
    found = what_if(grown, settings(20.0))
    assert not found.whole
    assert "begins with the state that there was after journal entry" in found.notes[0]


def test_labels_count_the_events_that_there_are(file: Path, tmp_path: Path) -> None:
    """A label by which a false alarm raised the threshold does not where the other budget raised no alarm."""
    state = tmp_path / "state"
    before = under(file, settings(20.0), state)
    alarm = next(e for e in latest(before.events) if "model" in e.reasons and e.rarity >= e.threshold)
    with Store.open(state) as store:
        durable = DurableEngine(store, InlineTrainer())
        durable.recover()
        assert alarm.series is not None
        label(durable, WantedLabel("tide", alarm.series, "normal", alarm.started_at, alarm.ended_at), 0)
        given = store.labels()
    assert given[0].halvings == 1
    counts: list[int] = []
    stream_labels = "daemon.engine.machine.stream.Stream.label"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream_labels, lambda self, item: _note(counts, item))
        what_if(state, settings(20.0))
        what_if(state, settings(0.001))
    assert counts == [1, 0]


def _note(counts: list[int], item: Labelled) -> list[Event]:
    counts.append(item.halvings)
    return []


def test_what_goes_together() -> None:
    """Two events go together when they are of one series and kind, and share an instant."""
    one = Event("a", 0, "s", "x", "closed", ("model",), 10, 20, 20, True, 1, 1, 1, 0, None, None, None, None)
    near, later = replace(one, id="b", started_at=20, ended_at=30), replace(one, id="c", started_at=21, ended_at=30)
    other, gap = replace(one, id="d", series="y"), replace(one, id="e", reasons=("gap",))
    ruled = replace(one, id="f", reasons=("limit", "flatline"))
    assert unmatched([one], [near]) == unmatched([one], [ruled]) == []
    assert unmatched([one], [later, other, gap]) == [one]
