"""A process killed at any fault point leaves a directory that opens sound, with each step done whole or not at all."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from daemon.engine.messages.inputs import Batch
from daemon.store import FAULT_POINTS, EventFilter, Store
from tests.daemon.store.contents import batch, event, run_child, same

BODY = """
store = Store.open(directory, reached=reached)
for number in range(store.last_seq + 1, 5):
    store.append([batch(number)], {"f": {"p": {"offset": number}}}, number)
    store.record_events([event("e", number)])
    store.set_sink_position("file", number, 10 * number)
    store.write_checkpoint(number, b"state %d" % number)
    store.put_model("taxi", f"r{number}", b"model %d" % number, digest="d", manifest={"n": number}, outcome="promoted")
    store.prune(0, 1 << 30, 10**15)
store.close()
"""


@pytest.mark.parametrize("point", FAULT_POINTS)
def test_killed_at(point: str, tmp_path: Path) -> None:
    """After kill -9 at a fault point: no leftovers, all steps before it there, and a second run does the rest."""
    skip = 0 if point == "database.before_rename" else 2
    killed = run_child(BODY, tmp_path, point, skip)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with Store.open(tmp_path) as store:
        assert store.quarantined == 0
        assert store.check() == []
        assert not list(tmp_path.rglob("*.tmp"))
        _expect_consistent(store)
    assert run_child(BODY, tmp_path).returncode == 0
    with Store.open(tmp_path) as store:
        assert (store.last_seq, store.load_checkpoint()) == (4, (4, b"state 4"))
        assert (store.quarantined, store.check()) == (0, [])


def _expect_consistent(store: Store) -> None:
    """Position, journal, checkpoint and models tell of the same progress, as far as one step may run ahead."""
    last = store.last_seq
    assert store.positions("f") == ({"p": {"offset": last}} if last else {})
    loaded = store.load_checkpoint()
    seq = loaded[0] if loaded else 0
    assert last - 1 <= seq <= last
    for number, item in store.entries(seq):
        assert same(item, batch(number))
    for record in store.models():
        assert store.read_model("taxi", record.version or 0) == b"model %d" % record.manifest["n"]
    assert last - 1 <= len(store.models()) <= last


@pytest.mark.parametrize(("point", "expected"), [("journal.before_commit", 2), ("journal.after_commit", 3)])
def test_the_commit_is_the_instant(point: str, expected: int, tmp_path: Path) -> None:
    """Killed just before the commit nothing of the third append is there, just after it all of it."""
    assert run_child(BODY, tmp_path, point, 2).returncode == -signal.SIGKILL
    with Store.open(tmp_path) as store:
        assert store.last_seq == expected
        assert store.positions("f") == {"p": {"offset": expected}}


@pytest.mark.parametrize(("point", "expected"), [("model.before_record", None), ("model.after_record", "promoted")])
def test_training_is_recorded_or_repeated(point: str, expected: str | None, tmp_path: Path) -> None:
    """A model file without its record counts as never made; made again it has the same version and the new bytes."""
    assert run_child(BODY, tmp_path, point, 2).returncode == -signal.SIGKILL
    with Store.open(tmp_path) as store:
        found = store.outcome("r3")
        assert (found.status if found else None) == expected
        version = store.put_model("taxi", "r3", b"other", digest="d", manifest={}, outcome="promoted")
        assert version == 3
        assert store.read_model_of("r3") == (b"other" if expected is None else b"model 3")


def test_full_disk_in_earnest(tmp_path: Path) -> None:
    """When the kernel lets no file grow, whatever writes raises StoreFull and what was there stays sound."""
    body = """
import resource
store = Store.open(directory)
store.append([batch(1)], {"f": {"p": {"offset": 1}}}, 1)
store.write_checkpoint(1, b"small")
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
for attempt in (lambda: store.append([batch(2, 100_000)], {"f": {"p": {"offset": 2}}}, 2),
                lambda: store.write_checkpoint(1, bytes(1_000_000)),
                lambda: store.put_model("s", "r", bytes(1_000_000), digest="d", manifest={}, outcome="promoted")):
    try:
        attempt()
        sys.exit("no error")
    except StoreFull:
        pass
assert store.checkpoint_failures == 1 and store.load_checkpoint() == (1, b"small") and store.outcome("r") is None
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert store.append([batch(2, 100_000)], {"f": {"p": {"offset": 2}}}, 2) == [2]
store.close()
"""
    done = run_child(body, tmp_path)
    assert done.returncode == 0, done.stderr
    with Store.open(tmp_path) as store:
        assert (store.last_seq, store.positions("f"), store.check()) == (2, {"p": {"offset": 2}}, [])
        assert all(isinstance(item, Batch) for _, item in store.entries(0))


def test_events_are_there_whole_or_not(tmp_path: Path) -> None:
    """Events recorded again after a crash are in the list once, in their first order."""
    assert run_child(BODY, tmp_path, "events.after_commit", 2).returncode == -signal.SIGKILL
    with Store.open(tmp_path) as store:
        store.record_events([event("e", 3), event("f")])
        rows = [(row, found.id, found.revision) for row, found in store.events(EventFilter(latest_only=False))]
        assert rows == [(1, "e", 1), (2, "e", 2), (3, "e", 3), (4, "f", 0)]
