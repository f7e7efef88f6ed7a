"""State directories of other versions: read where the layout is the same, rebuilt from the journal where it is not."""

from __future__ import annotations

import json
import logging
import shutil
import tarfile
from pathlib import Path

import pytest

from daemon.engine.machine import engine
from daemon.engine.messages.events import Event
from daemon.runtime.durable import DurableEngine
from daemon.store import EventFilter, Store, open_reader
from daemon.store.sealed_rows import find, put
from daemon.store.tables import JOURNAL
from daemon.trainer.trainer import InlineTrainer
from tests.daemon.store.make_fixture import MORE, ROWS, drive, make

FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("state-*.tar.xz"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory of this version, with the file it had read and its configuration."""
    directory = tmp_path_factory.mktemp("made")
    make(directory)
    return directory


@pytest.fixture
def directory(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(made, tmp_path / "copy")


def recorded(directory: Path) -> list[Event]:
    with open_reader(directory / "state") as reader:
        return [event for _, event in reader.events(EventFilter(latest_only=False))]


def recovered(directory: Path) -> DurableEngine:
    """The engine that a start would recover; its store is closed."""
    with Store.open(directory / "state") as store:
        durable = DurableEngine(store, InlineTrainer())
        durable.recover()
        assert (store.quarantined, store.check()) == (0, [])
    return durable


def accepted(durable: DurableEngine) -> int:
    return durable.engine.streams["tide"].counters.accepted


def make_old(monkeypatch: pytest.MonkeyPatch) -> int:
    """Have the program write and read the next version of the state; the version that was."""
    version = engine.STATE_VERSION
    monkeypatch.setattr(engine, "STATE_VERSION", version + 1)
    return version


@pytest.mark.parametrize("archive", FIXTURES, ids=lambda path: path.name)
def test_a_directory_of_any_released_layout_goes_on(archive: Path, tmp_path: Path) -> None:
    """What it had read and said is kept, and its file, found by content elsewhere, is read on: each reading once."""
    directory = tmp_path
    with tarfile.open(archive) as tar:
        tar.extractall(directory, filter="data")
    Store.open(directory / "state").close()  # an older database is migrated
    said = recorded(directory)
    assert said
    pipeline = drive(directory, ROWS, ROWS + MORE)
    counters = pipeline.durable.engine.streams["tide"].counters
    assert (counters.accepted, counters.rejected) == (ROWS + MORE, {})
    assert recorded(directory)[: len(said)] == said


def test_a_state_of_another_version_is_rebuilt_from_the_whole_journal(
    directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The rebuilt state is that of a run that was always of this version; a copy is kept, nothing is said twice."""
    said, version = recorded(directory), make_old(monkeypatch)
    with caplog.at_level(logging.WARNING):
        durable = recovered(directory)
    assert "state of another version, rebuilding it from the journal" in [r.message for r in caplog.records]
    assert accepted(durable) == ROWS
    assert recorded(directory) == said
    (copy,) = (directory / "state/checkpoints").iterdir()
    assert copy.name.endswith(f".tgc.version-{version}")
    with open_reader(directory / "state") as reader:
        fresh = engine.Engine(InlineTrainer())
        for _, item in reader.entries(0):
            fresh.step(item)
    assert fresh.dump() == durable.engine.dump()


def test_a_rebuild_that_is_killed_is_done_again(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start that never came to its first checkpoint leaves nothing said twice and the same state."""
    said, _ = recorded(directory), make_old(monkeypatch)
    first, second = recovered(directory), recovered(directory)
    assert first.digest() == second.digest()
    assert recorded(directory) == said


def prune_to_checkpoint(directory: Path) -> int:
    """Drop the entries before the checkpoint; its number."""
    with Store.open(directory / "state") as store:
        found = store.load_checkpoint()
        assert found is not None
        store.prune(0, 1, 1 << 60)
        assert store.first_seq == found[0] + 1
    return found[0]


def test_a_pruned_journal_rebuilds_what_it_reaches(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the beginning gone the state is rebuilt from the oldest entry under the old configuration, repeatably."""
    seq = prune_to_checkpoint(directory)
    version = make_old(monkeypatch)
    first = recovered(directory)
    assert 0 < accepted(first) < ROWS
    names = sorted(path.name for path in (directory / "state/checkpoints").iterdir())
    assert names == [f"checkpoint-{seq:012d}.tgc", f"checkpoint-{seq:012d}.tgc.version-{version}"]
    assert recovered(directory).digest() == first.digest()
    pipeline = drive(directory, ROWS, ROWS + MORE)
    assert accepted(pipeline.durable) == accepted(first) + MORE


def test_an_earlier_checkpoint_of_this_version_serves(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Back from a newer version: the last checkpoint before it and the journal give the state exactly."""
    before = recovered(directory).digest()
    with monkeypatch.context() as newer, Store.open(directory / "state") as store:
        durable = DurableEngine(store, InlineTrainer())
        durable.recover()
        make_old(newer)
        durable.checkpoint()
    assert recovered(directory).digest() == before


def test_what_cannot_be_rebuilt_starts_afresh(
    directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A journal whose configuration this version refuses ends in a fresh state, said loudly, never in a crash loop."""
    with Store.open(directory / "state") as store:
        header = json.dumps({"at": 0, "config": {"version": 1, "streams": {"tide": {"gone": 1}}}}).encode()
        (found,) = find(store._database, JOURNAL, "WHERE kind = 'configured'")
        put(store._database, JOURNAL, [(*found[:5], header, found[6])], "OR REPLACE")
    make_old(monkeypatch)
    with caplog.at_level(logging.ERROR):
        assert recovered(directory).engine.streams == {}
    assert "state cannot be rebuilt, starting afresh" in [r.message for r in caplog.records]
    pipeline = drive(directory, ROWS, ROWS)
    assert pipeline.durable.engine.streams["tide"].counters.accepted == 0
    with open_reader(directory / "state") as reader:
        assert reader.positions("tide/0"), "where the file was read to is kept"
