"""The journal gives back what was put in, all of it or none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from daemon.engine.messages.inputs import Batch, Command, Configured, Delivered, Input, Promoted, Tick
from daemon.store import JournalGap, Store, StoreDamaged, StoreFull, journal, open_reader
from tests.daemon.store.contents import batch, same

finite = st.floats(allow_nan=False, allow_infinity=False)
text = st.text(st.characters(exclude_categories=["Cs"]))
json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | finite | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    rows, width = draw(st.integers(0, 20)), draw(st.integers(1, 3))
    int32, int64 = st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1)
    return Batch(
        stream=draw(text),
        received_at_ms=draw(st.integers(0, 2**53)),
        series=draw(st.lists(text, max_size=4)),
        codes=draw(hnp.arrays(np.int32, rows, elements=int32)),
        at_ms=draw(hnp.arrays(np.int64, rows, elements=int64)),
        fold_s=draw(hnp.arrays(np.int32, rows, elements=int32) | st.just(np.zeros(rows, np.int32))),
        values=draw(hnp.arrays(np.float64, (rows, width), elements=finite)),
        rejected=draw(st.dictionaries(text, st.integers(0, 2**53), max_size=3)),
    )


inputs = st.one_of(
    batches(),
    st.builds(Tick, st.integers(0, 2**53)),
    st.builds(Command, st.just("warm_up"), text, st.integers(0, 2**53)),
    st.builds(Promoted, text, st.binary(max_size=50), st.integers(0, 2**53)),
    st.builds(Configured, st.dictionaries(text, st.booleans() | finite | text, max_size=3), st.integers(0, 2**53)),
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.open(tmp_path_factory.mktemp("shared")) as store:
        yield store


@settings(max_examples=60, deadline=None)
@given(items=st.lists(inputs, max_size=4))
def test_inputs_come_back_bit_for_bit(shared: Store, items: list[Input]) -> None:
    """Whatever an input holds (odd names, -0.0, denormals, no rows), the journal repeats it exactly and in order."""
    before = shared.last_seq
    numbers = shared.append(items, {}, 7)
    assert numbers == list(range(before + 1, before + 1 + len(items)))
    found = list(shared.entries(before))
    assert [seq for seq, _ in found] == numbers
    for (_, one), other in zip(found, items, strict=True):
        assert same(one, other) if isinstance(other, Batch) else one == other


@settings(max_examples=40, deadline=None)
@given(source=text, place=st.text(), position=st.dictionaries(st.text(), json, max_size=3))
def test_positions_come_back(shared: Store, source: str, place: str, position: dict[str, object]) -> None:
    """A place may be any string, also a file name that is not UTF-8; its position comes back until it is dropped."""
    shared.append([], {source: {place: position}}, 7)
    assert shared.positions(source)[place] == position
    shared.drop_positions([(source, place)])
    assert place not in shared.positions(source)


def test_entries_stream_across_pages_and_see_later_ones(tmp_path: Path) -> None:
    """Reading goes on over entries appended meanwhile, stops at `through`, and outlives a new connection."""
    with Store.open(tmp_path) as store:
        for number in range(1, 41):
            store.append([batch(number)], {"f": {"p": {"offset": number}}}, number)
        walk = store.entries(2)
        assert next(walk)[0] == 3
        store.append([Tick(99)], {}, 99)
        assert [seq for seq, _ in walk] == list(range(4, 42))
        assert [seq for seq, _ in store.entries(0, 3)] == [1, 2, 3]
    with Store.open(tmp_path) as store:
        assert store.last_seq == 41
        assert store.positions("f") == {"p": {"offset": 40}}
        assert store.append([Tick(1)], {}, 1) == [42]


def test_full_disk_changes_nothing_and_is_survived(tmp_path: Path) -> None:
    """Without room, append raises StoreFull and neither entries nor positions change; with room it works again."""
    with Store.open(tmp_path) as store:
        store.append([batch(1)], {"f": {"p": {"offset": 1}}}, 1)
        pages = store._database.value("PRAGMA page_count")
        store._database.rows(f"PRAGMA max_page_count={pages + 2}")
        with pytest.raises(StoreFull, match=r"tidegauge\.db.*free space"):
            store.append([batch(2), batch(3, 10_000)], {"f": {"p": {"offset": 3}}}, 2)
        assert [seq for seq, _ in store.entries(0)] == [1]
        assert store.positions("f") == {"p": {"offset": 1}}
        store._database.rows("PRAGMA max_page_count=1000000")
        assert store.append([batch(2)], {"f": {"p": {"offset": 2}}}, 2) == [2]
        assert store.check() == []


def test_an_unwritable_input_changes_nothing(tmp_path: Path) -> None:
    """An input that cannot be encoded, or a position that JSON cannot hold, leaves everything as it was."""
    with Store.open(tmp_path) as store:
        with pytest.raises(TypeError):
            store.append([batch(1), Configured({"x": object()})], {"f": {"p": {}}}, 1)
        with pytest.raises(ValueError, match="not JSON compliant"):
            store.append([batch(1)], {"f": {"p": {"x": float("nan")}}}, 1)
        assert (store.last_seq, store.positions("f"), list(store.entries(0))) == (0, {}, [])


def test_reader_reads_beside_the_writer(tmp_path: Path) -> None:
    """A read-only view sees what is committed while the daemon runs, and afterwards, and cannot write."""
    with Store.open(tmp_path) as store, open_reader(tmp_path) as reader:
        store.append([batch(1)], {}, 1)
        assert [seq for seq, _ in reader.entries()] == [1]
        store.append([batch(2)], {}, 1)
        assert (reader.first_seq, reader.last_seq) == (1, 2)
        with pytest.raises(Exception, match="readonly"):
            reader._database.rows("DELETE FROM journal")
    with open_reader(tmp_path) as reader:
        assert [seq for seq, _ in reader.entries()] == [1, 2]


def test_entries_that_were_dropped_are_not_skipped_in_silence(tmp_path: Path) -> None:
    """Asking for entries that pruning dropped raises; asking for all there are does not."""
    with Store.open(tmp_path) as store:
        for number in range(1, 11):
            store.append([batch(number)], {}, number)
        store.write_checkpoint(6, b"x")
        store.prune(0, 1 << 30, 10_000)
        with pytest.raises(JournalGap, match="ask for those after 6"):
            list(store.entries(3))
        with pytest.raises(JournalGap, match="entries 6 to 6 are no longer"):
            list(store.entries(5))
        assert [seq for seq, _ in store.entries()] == [7, 8, 9, 10]


def test_entries_of_one_stream(tmp_path: Path) -> None:
    """Those that name another stream are left out before they are decoded; those that name none concern all."""
    items: list[Input] = [Configured({}), batch(2), Command("warm_up", "b"), Delivered("b"), Tick(1)]
    with Store.open(tmp_path / "state") as store:
        store.append(items, {}, 0)
        assert [seq for seq, _ in store.entries(0, stream="taxi")] == [1, 2, 5]
        assert [seq for seq, _ in store.entries(2, 4, "b")] == [3, 4]


def test_an_entry_that_is_missing_is_not_passed_over(tmp_path: Path) -> None:
    """One row that is gone while the store is open: reading says so at its place."""
    with Store.open(tmp_path) as store:
        store.append([batch(number) for number in range(1, 5)], {}, 1)
        store._database.rows("DELETE FROM journal WHERE seq = 3")
        with pytest.raises(StoreDamaged, match="journal entry 3 is missing"):
            list(store.entries())


def test_what_is_kept_is_at_most_max_bytes(tmp_path: Path) -> None:
    """Entries of just that size stay, with one byte less the oldest of them goes."""
    with Store.open(tmp_path) as store:
        store.append([batch(number) for number in range(1, 7)], {}, 1)
        database = store._database
        sizes = [row[0] for row in database.rows("SELECT length(header) + length(blob) FROM journal ORDER BY seq")]
        last_three = sum(sizes[3:])
        assert journal.size(database) == sum(sizes)
        assert journal.droppable(database, 0, last_three) == 3
        assert journal.droppable(database, 0, last_three - 1) == 4
        assert journal.droppable(database, 0, sum(sizes)) == 0
        assert journal.droppable(database, 2, sum(sizes)) == 6


@pytest.mark.parametrize("column", ["bytes_through", "received_at_ms"])
@pytest.mark.parametrize("wrong", ["west12", 2**60, -(2**60), b"\0", 1.5])
def test_what_is_kept_is_not_said_by_a_damaged_entry(tmp_path: Path, column: str, wrong: object) -> None:
    """Recovery looks at no entry before its checkpoint; one that was damaged there moves neither size nor retention."""
    with Store.open(tmp_path) as store:
        for number in range(1, 7):
            store.append([batch(number)], {}, number)
        database = store._database
        size, last_three = journal.size(database), journal.size(database) // 2
        for damaged in (2, 5):
            database.rows(f"UPDATE journal SET {column} = ? WHERE seq = ?", [wrong, damaged])
        assert journal.size(database) == size
        assert journal.droppable(database, 2, size) == 2
        assert journal.droppable(database, 0, last_three) in (3, 4)
        assert journal.lost_entry(database, 6, 6)[4] == journal.lost_entry(database, 5, 5)[4] > 0
        for damaged in (1, 2, 3, 4, 5, 6):
            database.rows(f"UPDATE journal SET {column} = ? WHERE seq = ?", [wrong, damaged])
        assert journal.size(database) == 0
        assert journal.droppable(database, 0, size) == 6
        assert store.append([batch(7)], {}, 7) == [7]
