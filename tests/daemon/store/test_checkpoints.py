"""Checkpoints: the newest sound one that the journal continues, kept for as long as it is promised."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.store import Store, host
from daemon.store.checkpoints import Checkpoints
from daemon.store.errors import CheckpointDamaged
from tests.daemon.store.contents import batch

DAY = 86_400


def grow(store: Store, entries: int, every: int = 1) -> None:
    """Append `entries` entries, with a checkpoint of every `every`-th."""
    for number in range(store.last_seq + 1, store.last_seq + entries + 1):
        store.append([batch(number)], {"f": {"p": {"offset": number}}}, number)
        if number % every == 0:
            store.write_checkpoint(number, b"state %d" % number)


def path(directory: Path, seq: int) -> Path:
    return directory / "checkpoints" / f"checkpoint-{seq:012d}.tgc"


@pytest.mark.parametrize("length", [0, 10, 71, 72, 100, -1])
def test_a_truncated_one_gives_way_to_the_one_before(length: int, tmp_path: Path) -> None:
    """Cut at any place, the newest is set aside and counted, and recovery takes the one before and more entries."""
    with Store.open(tmp_path) as store:
        grow(store, 5, every=2)
        os.truncate(path(tmp_path, 4), length if length >= 0 else path(tmp_path, 4).stat().st_size - 1)
        assert store.load_checkpoint() == (2, b"state 2")
        assert [seq for seq, _ in store.entries(2)] == [3, 4, 5]
        assert store.quarantined == 1
        assert path(tmp_path, 4).with_name("checkpoint-000000000004.tgc.quarantined-1").exists()


@settings(max_examples=40, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_flipped_bit_is_noticed(tmp_path_factory: pytest.TempPathFactory, place: float, bit: int) -> None:
    """One bit anywhere in the file, header included, and the checkpoint is not used."""
    directory = tmp_path_factory.mktemp("flip")
    with Store.open(directory) as store:
        grow(store, 1)
        raw = bytearray(path(directory, 1).read_bytes())
        raw[int(place * len(raw))] ^= 1 << bit
        path(directory, 1).write_bytes(raw)
        assert store.load_checkpoint() is None
        assert [seq for seq, _ in store.entries(0)] == [1]


def test_one_ahead_of_the_journal_is_never_used(tmp_path: Path) -> None:
    """A checkpoint of an entry the journal has not reached is set aside, lest it match another history later."""
    with Store.open(tmp_path / "other") as other:
        grow(other, 9, every=9)
    with Store.open(tmp_path / "this") as store:
        grow(store, 3, every=2)
        path(tmp_path / "this", 9).write_bytes(path(tmp_path / "other", 9).read_bytes())
        assert store.load_checkpoint() == (2, b"state 2")
        assert not path(tmp_path / "this", 9).exists()
        with pytest.raises(ValueError, match="the journal ends with 3"):
            store.write_checkpoint(4, b"")


def test_one_the_engine_cannot_load_is_set_aside_on_request(tmp_path: Path) -> None:
    """After `reject_checkpoint` the one before is given."""
    with Store.open(tmp_path) as store:
        grow(store, 4, every=2)
        store.reject_checkpoint(4, "layout 3 is not known")
        assert store.load_checkpoint() == (2, b"state 2")


def test_an_earlier_state_serves_when_its_entries_are_gone(tmp_path: Path) -> None:
    """Journal cut and the checkpoint it continues bad: what was learned before is kept, and again at the next start."""
    with Store.open(tmp_path) as store:
        grow(store, 4, every=2)
    (tmp_path / "tidegauge.db").unlink()
    with Store.open(tmp_path) as store:
        grow(store, 1, every=9)
        os.truncate(path(tmp_path, 4), 5)
        assert store.load_checkpoint() == (4, b"state 2")
        assert [seq for seq, _ in store.entries(4)] == [5]
    with Store.open(tmp_path) as store:
        assert (store.quarantined, store.load_checkpoint()) == (0, (4, b"state 2"))


def test_when_no_state_is_left_the_journal_starts_over(tmp_path: Path) -> None:
    """All checkpoints bad and the journal's beginning pruned: the empty state, and entries from now on."""
    with Store.open(tmp_path) as store:
        grow(store, 6, every=2)
        store.prune(0, 1 << 30, 10_000)
        for file in (tmp_path / "checkpoints").iterdir():
            os.truncate(file, 5)
        assert store.load_checkpoint() is None
        assert list(store.entries(0)) == []
        store.append([batch(7)], {}, 7)
    with Store.open(tmp_path) as store:
        assert store.load_checkpoint() is None
        assert [seq for seq, _ in store.entries(0)] == [7]


def test_other_versions_are_counted_and_still_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint from another numpy or CPU loads; the difference is counted and logged."""
    with Store.open(tmp_path) as store:
        grow(store, 1)
        assert store.load_checkpoint() is not None
        assert store.checkpoint_mismatches == 0
        here = host.versions()
        monkeypatch.setattr(host, "versions", lambda: here | {"numpy": "1.0"})
        assert store.load_checkpoint() == (1, b"state 1")
        assert store.checkpoint_mismatches == 1


def test_a_position_past_the_checkpoint_is_not_carried(tmp_path: Path) -> None:
    """A database made from a checkpoint never skips readings: a place that had moved on starts at its beginning."""
    with Store.open(tmp_path) as store:
        store.append([batch(1)], {"f": {"p": {"offset": 1}, "q": {"offset": 9}}}, 1)
        store.append([batch(2)], {"f": {"p": {"offset": 2}}}, 2)
        store.write_checkpoint(1, b"state 1")
    (tmp_path / "tidegauge.db").unlink()
    with Store.open(tmp_path) as store:
        assert store.positions("f") == {"q": {"offset": 9}}


def test_the_newest_two_and_one_a_day_are_kept(tmp_path: Path) -> None:
    """Four checkpoints a day for ten days: the newest two and the last of each day, and only days within `keep_s`."""
    now = [0.0]
    with Store.open(tmp_path, clock=lambda: now[0]) as store:
        for quarter in range(40):
            now[0] = 100 * DAY + quarter * DAY / 4
            store.append([batch(1)], {}, int(now[0] * 1000))
            store.write_checkpoint(quarter + 1, b"x")
        kept = sorted(int(p.stem[11:]) for p in (tmp_path / "checkpoints").iterdir())
        assert kept == [4, 8, 12, 16, 20, 24, 28, 32, 36, 39, 40]
        store.prune(3 * DAY, 1 << 30, int(now[0] * 1000))
        kept = sorted(int(p.stem[11:]) for p in (tmp_path / "checkpoints").iterdir())
        assert kept == [28, 32, 36, 39, 40]
        assert store.first_seq == 28
        store.prune(3 * DAY, 1, int(now[0] * 1000))
        assert (sorted(int(p.stem[11:]) for p in (tmp_path / "checkpoints").iterdir()), store.first_seq) == (
            [39, 40],
            40,
        )


@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.integers(1, 4)),
            st.tuples(st.just("checkpoint"), st.integers(0, 3)),
            st.tuples(st.just("prune"), st.sampled_from([0, 1, 500, 2000, 10**9])),
            st.tuples(st.just("later"), st.integers(1, 3 * DAY)),
            st.tuples(st.just("damage"), st.integers(0, 1)),
            st.tuples(st.just("reopen"), st.just(0)),
        ),
        max_size=25,
    )
)
def test_pruning_never_breaks_recovery(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]) -> None:
    """In any order of steps, with at most one of the newest two checkpoints bad, recovery reaches the newest entry."""
    directory, now, damaged = tmp_path_factory.mktemp("prune"), [1000.0 * DAY], False
    store = Store.open(directory, clock=lambda: now[0])
    try:
        for step, amount in steps:
            match step:
                case "append":
                    store.append([batch(n) for n in range(amount)], {}, int(now[0] * 1000))
                case "checkpoint" if store.last_seq >= amount:
                    seq = store.last_seq - amount
                    loaded = store.load_checkpoint()
                    if seq > (loaded[0] if loaded else 0):
                        store.write_checkpoint(seq, b"%d" % seq)
                        damaged = False
                case "prune":
                    store.prune(2 * DAY, amount, int(now[0] * 1000))
                case "later":
                    now[0] += amount
                case "damage" if not damaged and len(files := sorted((directory / "checkpoints").glob("*.tgc"))) > 1:
                    os.truncate(files[-1 - amount], 20)
                    damaged = True
                case "reopen":
                    store.close()
                    store = Store.open(directory, clock=lambda: now[0])
        last = store.last_seq
        loaded = store.load_checkpoint()
        seq, data = loaded or (0, b"0")
        assert int(data) == seq
        assert [number for number, _ in store.entries(seq)] == list(range(seq + 1, last + 1))
    finally:
        store.close()


def test_pruning_gives_space_back(tmp_path: Path) -> None:
    """Dropped entries shrink the file."""
    with Store.open(tmp_path) as store:
        for number in range(1, 41):
            store.append([batch(number, 5000)], {}, number)
        store.write_checkpoint(40, b"x")
        store._database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        before = (tmp_path / "tidegauge.db").stat().st_size
        store.prune(0, 1 << 30, 10_000)
        store._database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        assert (tmp_path / "tidegauge.db").stat().st_size < before / 10
        assert (store.last_seq, store.append([batch(1)], {}, 1)) == (40, [41])


def test_one_that_is_newer_than_the_journal_does_not_serve(tmp_path: Path) -> None:
    """Were it by one entry: what that entry was, nobody knows."""
    files = Checkpoints(tmp_path)
    for seq in (3, 5):
        files.write(seq, seq, {}, {}, b"state %d" % seq)
    found = files.newest_sound(0, 4)
    assert found is not None
    assert found.seq == 3
    assert (files.sequences(), files.quarantined) == ([3], 1)


def test_one_under_another_number_is_damaged(tmp_path: Path) -> None:
    """A sound file that was given the name of another entry's is not taken for it."""
    files = Checkpoints(tmp_path)
    files.write(3, 3, {}, {}, b"state 3")
    files.path(3).rename(files.path(4))
    with pytest.raises(CheckpointDamaged):
        files.read(4)
