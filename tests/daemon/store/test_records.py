"""Events, labels, sinks and models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.engine.messages.inputs import Labelled
from daemon.store import EventFilter, ModelChecksum, ModelUnknown, Store, model_store, open_reader, view
from tests.daemon.store.contents import event


def test_events_come_back_exactly(tmp_path: Path) -> None:
    """Every field returns as it was, floats to the last bit."""
    said = event("a", 3)
    with Store.open(tmp_path) as store:
        store.record_events([said])
        assert store.events() == [(1, said)]
        assert str(store.events()[0][1]) == str(said)


def test_events_are_chosen_by_every_filter(tmp_path: Path) -> None:
    """Latest or all revisions, series, overlap in time, state now, rows after, limit."""
    with Store.open(tmp_path) as store:
        store.record_events([event("a"), event("b", 0, 500, series=None)])
        store.record_events([event("a", 1), event("a", 2, state="closed")])
        all_rows = store.events(EventFilter(latest_only=False))
        assert [(row, e.id, e.revision) for row, e in all_rows] == [(1, "a", 0), (2, "b", 0), (3, "a", 1), (4, "a", 2)]
        assert [row for row, _ in store.events()] == [2, 4]
        assert [row for row, _ in store.events(EventFilter(state="open"))] == [2]
        assert [row for row, _ in store.events(EventFilter(series="m1", latest_only=False))] == [1, 3, 4]
        assert [row for row, _ in store.events(EventFilter(stream="other"))] == []
        assert [row for row, _ in store.events(EventFilter(since=120))] == [2, 4]
        assert [row for row, _ in store.events(EventFilter(since=121))] == [2]
        assert [row for row, _ in store.events(EventFilter(until=500))] == [4]
        assert [row for row, _ in store.events(EventFilter(latest_only=False), after_row=1, limit=2)] == [2, 3]


def test_the_newest_events_are_chosen_among_those_that_fit(tmp_path: Path) -> None:
    """Newest first, a limit keeps the newest that pass the filters, however far back they stand."""
    with Store.open(tmp_path) as store:
        store.record_events([event("a"), event("b", 0, 500, series=None)])
        store.record_events([event("a", 1), event("a", 2, state="closed")])
        assert [row for row, _ in store.events(newest_first=True)] == [4, 2]
        assert [row for row, _ in store.events(newest_first=True, limit=1)] == [4]
        assert [row for row, _ in store.events(EventFilter(state="open"), newest_first=True, limit=1)] == [2]
        assert [row for row, _ in store.events(EventFilter(latest_only=False), newest_first=True, limit=2)] == [4, 3]


def test_an_event_said_again_changes_nothing(tmp_path: Path) -> None:
    """The first record of a revision stands; row numbers have no holes."""
    with Store.open(tmp_path) as store:
        store.record_events([event("a"), event("a", 0, 999), event("b")])
        store.record_events([])
        assert [(row, e.started_at) for row, e in store.events()] == [(1, 100), (2, 100)]


def test_labels_are_kept_as_they_were_given(tmp_path: Path) -> None:
    """In order of their entries, by stream and series; one recorded again stays as it was."""
    first = Labelled("taxi", "a", "fault", 3600, 7200, "a strike", -1, 2, 1_700_000_000_000)
    second = replace(first, kind="normal", halvings=1, true_alarms=-2)
    with Store.open(tmp_path) as store:
        store.record_label(7, first)
        store.record_label(9, second)
        store.record_label(7, second)
        store.record_label(11, replace(first, series="b"))
    with open_reader(tmp_path) as reader:
        assert reader.labels("taxi", "a") == [first, second]
        assert [item.series for item in reader.labels()] == ["a", "a", "b"]
        assert reader.labels("other") == []


def test_sink_positions(tmp_path: Path) -> None:
    """How far a sink has come is kept; of one without a record nothing is known."""
    with Store.open(tmp_path) as store:
        assert store.sink_position("file") is None
        store.set_sink_position("file", 5, 500)
        store.set_sink_position("file", 6, 600)
    with Store.open(tmp_path) as store:
        assert store.sink_position("file") == (6, 600)


def test_models_are_numbered_within_their_stream(tmp_path: Path) -> None:
    """Versions count files of one stream; a failure has none; a request asked again keeps what it has."""
    with Store.open(tmp_path, clock=lambda: 3.0) as store:
        assert store.put_model("a", "r1", b"1", digest="d1", manifest={"k": [1]}, outcome="promoted") == 1
        store.record_failure("a", "r2", "timeout", "took 61 s, limit 60 s")
        assert store.put_model("a", "r3", b"3", digest="d3", manifest={}, outcome="rejected") == 2
        assert store.put_model("b", "r4", b"4", digest="d4", manifest={}, outcome="promoted") == 1
        assert store.put_model("a", "r1", b"other", digest="x", manifest={}, outcome="rejected") == 1
        store.record_failure("a", "r1", "late", "")
        first, failed, third = store.models("a")
        assert (first.status, first.digest, first.manifest, first.at_ms) == ("promoted", "d1", {"k": [1]}, 3000)
        assert (failed.status, failed.version, failed.reason, failed.detail) == (
            "failed", None, "timeout", "took 61 s, limit 60 s",
        )  # fmt: skip
        assert (third.version, store.outcome("r3"), store.outcome("r9")) == (2, third, None)
        assert [store.read_model("a", 1), store.read_model("a", 2), store.read_model_of("r4")] == [b"1", b"3", b"4"]
        for wrong in (
            lambda: store.read_model("a", 3),
            lambda: store.read_model_of("r2"),
            lambda: store.read_model_of("r"),
        ):
            with pytest.raises(ModelUnknown):
                wrong()


def test_only_what_was_promoted_is_said_to_have_served(tmp_path: Path) -> None:
    """The entry that brought a model into service is known of a promoted one, and of no other."""
    with Store.open(tmp_path) as store:
        for status in ("promoted", "rejected"):
            store.put_model("s", status, b"bytes", digest=status, manifest={}, outcome="candidate")
            store.judge_model(status, status, 7, {"passed": status == "promoted"})
        served = {record.status: record.manifest.get("served_seq") for record in store.models("s")}
        assert served == {"promoted": 7, "rejected": None}


def test_a_changed_model_file_is_refused(tmp_path: Path) -> None:
    """Other bytes, or no file, than what was recorded: never loaded."""
    with Store.open(tmp_path) as store:
        store.put_model("a", "r", b"good", digest="d", manifest={}, outcome="promoted")
        (tmp_path / "models" / "a-0001.safetensors").write_bytes(b"evil")
        with pytest.raises(ModelChecksum, match=r"a-0001\.safetensors: its SHA-256 is not the one recorded"):
            store.read_model("a", 1)
        (tmp_path / "models" / "a-0001.safetensors").unlink()
        with pytest.raises(ModelChecksum, match="cannot be read"):
            store.read_model_of("r")


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
def test_any_stream_name_makes_a_safe_file_name(one: str, other: str) -> None:
    """No separator, no leading dot, bounded length, and different streams never share a file."""
    name = model_store.file_name(one, 7)
    assert Path(name).name == name
    assert name.isascii()
    assert not name.startswith(".")
    assert len(name) <= 200
    assert (name == model_store.file_name(other, 7)) == (one == other)


@pytest.mark.parametrize("name", ["../../etc/x", ".", "..", "a/b", "\0", "ü" * 300, "ü" * 301, "", "con x"])
def test_odd_stream_names_keep_their_models(name: str, tmp_path: Path) -> None:
    """Such a stream's model lies inside `models/` and reads back."""
    with Store.open(tmp_path) as store:
        store.put_model(name, "r", b"bytes", digest="d", manifest={}, outcome="promoted")
        assert store.read_model(name, 1) == b"bytes"
    assert len(list((tmp_path / "models").iterdir())) == 1


def test_events_are_found_by_reason_and_by_the_beginning_of_their_id(tmp_path: Path) -> None:
    """One among several reasons counts, part of its word does not; an id is found by as much of it as is given."""
    with Store.open(tmp_path) as store:
        one, other = event("ab12"), replace(event("abff"), reasons=("gap",))
        store.record_events([one, other])
        assert [row for row, _ in store.events(EventFilter(reason="limit"))] == [1]
        assert [row for row, _ in store.events(EventFilter(reason="gap"))] == [2]
        assert store.events(EventFilter(reason="mod")) == []
        assert [row for row, _ in store.events(EventFilter(beginning="ab"))] == [1, 2]
        assert [row for row, _ in store.events(EventFilter(beginning="abf"))] == [2]
        assert store.events(EventFilter(beginning="b")) == []


def test_the_newest_events_come_oldest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit keeps the newest of those chosen; however many there are, a few are in memory at a time."""
    monkeypatch.setattr(view, "_AT_ONCE", 3)
    with Store.open(tmp_path) as store:
        store.record_events([event(f"e{n:02}", series=f"m{n % 2}") for n in range(20)])
        assert [each.id for each in store.each_event()] == [f"e{n:02}" for n in range(20)]
        assert [each.id for each in store.each_event(limit=2)] == ["e18", "e19"]
        assert [each.id for each in store.each_event(EventFilter(series="m0"), limit=2)] == ["e16", "e18"]
        assert len(list(store.each_event(limit=50))) == 20


@pytest.mark.parametrize(
    "condition", ["stream = 'a'", "stream = 'a' AND series = 'b'", "id >= 'a' AND id < 'a~'", "row > 5"]
)
def test_no_search_reads_all_events(condition: str, tmp_path: Path) -> None:
    """Each of these finds its rows by an index, in their order: the newest few cost as much among many."""
    with Store.open(tmp_path) as store:
        sql = f"EXPLAIN QUERY PLAN SELECT body FROM events WHERE {condition}"
        order = "" if condition.startswith("id") else " ORDER BY row DESC"
        (plan,) = [row[-1] for row in store._database.rows(f"{sql}{order} LIMIT 5")]
    assert plan.startswith("SEARCH events USING")


def test_events_are_counted_by_the_day_of_their_beginning(tmp_path: Path) -> None:
    """Each event once, however many revisions it has; only among the newest so many revisions."""
    with Store.open(tmp_path) as store:
        for number, at in enumerate((0, 10, 86_399, 86_400, 5 * 86_400)):
            store.record_events([event(f"e{number}", revision, at) for revision in (0, 1)])
    with open_reader(tmp_path) as view:
        assert view.begun_by_day(1000) == {0: 3, 1: 1, 5: 1}
        assert view.begun_by_day(4) == {1: 1, 5: 1}
