"""One source's series leave room for those of the others, over restarts, deliveries and series that are forgotten."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from adapters.base import REJECTIONS, Readings, unnoticed
from daemon.config.file import load
from daemon.config.settings import Settings
from daemon.engine.machine.engine import Engine
from daemon.engine.messages.inputs import Batch, Configured, Delivered, decode, encode
from daemon.intake.quotas import REASON, Census, Quotas
from daemon.metrics.collector import Durations
from daemon.replay.rerun import rerun
from daemon.service.pipeline import Pipeline
from daemon.trainer.trainer import InlineTrainer
from tests.daemon.engine.small_engines import STREAM, batch, config

MOST = 12


def readings(*names: str) -> Readings:
    """One reading of each, a line of ten bytes each."""
    series = list(dict.fromkeys(names))
    n = len(names)
    return Readings(
        series,
        np.array([series.index(name) for name in names], np.int32),
        np.arange(n, dtype=np.int64) * 1000,
        np.zeros(n, np.int32),
        np.arange(n, dtype=np.float64).reshape(n, 1),
        np.zeros(n, np.int8),
        np.arange(10, 10 * n + 10, 10, dtype=np.int64),
        np.array([0], np.uint8),
        np.array([10 * n + 20], np.int64),
    )


def quotas(limit: int, census: Census) -> Quotas:
    """Those of a stream whose source `a` has a limit, and `b` none."""
    made = Quotas(unnoticed)
    made.limits, made.census = {"a": limit}, lambda: census
    return made


def test_further_series_are_rejected_where_they_stand() -> None:
    """Known series go on, the first new ones come in, the others' readings are rejected lines with their ends."""
    made = quotas(2, Census({"k"}, {"a": 1}, {}, settled=True))
    taken = made.admit("a", readings("x", "k", "junk", "x", "junk"), under_way=False)
    assert [taken.series[code] for code in taken.codes] == ["x", "k", "x"]
    assert taken.ends.tolist() == [10, 20, 40]
    assert [REJECTIONS[reason] for reason in taken.bad_reasons] == [REASON, REASON, REJECTIONS[0]]
    assert taken.bad_ends.tolist() == [30, 50, 70]
    assert made.owners(taken.series) == {"x": "a"}
    assert made.admit("b", readings("junk"), under_way=False).series == ["junk"]


@pytest.mark.parametrize("size", [1, 2, 5])
def test_how_chunks_are_cut_makes_no_difference(size: int) -> None:
    """The same series come in, however many readings a chunk has, and whether those before are applied or not."""
    names = ["x", "y", "x", "z", "junk", "y", "x", "z", "junk", "w"]
    known: dict[str, int] = {}
    owned: dict[str, int] = {}
    for applied in (False, True):
        known.clear()
        owned.clear()
        made = quotas(3, Census(known, owned, {}, settled=applied))
        found: list[str] = []
        for start in range(0, len(names), size):
            taken = made.admit("a", readings(*names[start : start + size]), under_way=not applied)
            found += [taken.series[code] for code in taken.codes]
            if applied:
                known |= dict.fromkeys(taken.series, 0)
                owned["a"] = len(known)
        assert found == ["x", "y", "x", "z", "y", "x", "z"]


def test_a_series_that_was_not_taken_has_no_room() -> None:
    """One that came in and has no row, because its stamp was refused, is as new as before once all is applied."""
    made = quotas(1, Census((), {}, {}, settled=True))
    assert made.admit("a", readings("x"), under_way=False).series == ["x"]
    assert made.admit("a", readings("y"), under_way=True).series == []
    assert made.admit("a", readings("y"), under_way=False).series == ["y"]


def owned_batch(owner: str, *names: str, slot: int = 0) -> Batch:
    """A reading of each series, all brought in by one source."""
    return replace(batch([(name, slot, 1.0) for name in names]), owners=dict.fromkeys(names, owner))


def test_who_brought_in_a_series_is_state() -> None:
    """It is journaled, dumped and loaded, counted until the series is forgotten, and no part of the digest."""
    item = owned_batch("s/1", "a", "b")
    assert decode(*encode(item)).owners == item.owners  # type: ignore[union-attr]
    made, plain = Engine(InlineTrainer()), Engine(InlineTrainer())
    for each, first in ((made, item), (plain, replace(item, owners={}))):
        each.step(Configured(config(retire_after=7200)))
        each.step(first)
    assert made.digest() == plain.digest()
    assert made.dump() != plain.dump()
    again = Engine(InlineTrainer())
    again.load(made.dump())
    for each in (made, again):
        table = each.streams[STREAM].table
        assert (dict(table.owned), table.expected) == ({"s/1": 2}, {})
        for slot in range(1, 200):
            each.step(batch([("c", slot, 1.0)]))
        assert set(table.row_of) == {"c"}
        assert table.owned["s/1"] == 0
    assert again.dump() == made.dump()


def test_a_delivery_keeps_who_brought_in_its_series() -> None:
    """They have no row until it has ended, over a dump too."""
    made, again = Engine(InlineTrainer()), Engine(InlineTrainer())
    made.step(Configured(config(arrival="batch")))
    made.step(owned_batch("s/0", "a", "b"))
    again.load(made.dump())
    for each in (made, again):
        table = each.streams[STREAM].table
        assert (table.expected, dict(table.owned)) == ({"a": "s/0", "b": "s/0"}, {})
        each.step(Delivered(STREAM))
        assert (table.expected, dict(table.owned)) == ({}, {"s/0": 2})


@pytest.mark.parametrize(
    ("sources", "shares"),
    [
        ([{"path": "a.csv"}], [100]),
        ([{"path": "a.csv"}, {"path": "b.csv"}], [75, 75]),
        ([{"path": "a.csv", "max_series": 7}, {"path": "b.csv"}], [7, 75]),
        ([{"path": "a.csv", "max_series": 7}], [7]),
        ([{"path": "a.csv", "max_series": 700}], [100]),
    ],
)
def test_the_share_of_a_source(sources: list[dict[str, object]], shares: list[int]) -> None:
    """An only source has all the room, one of several leaves a quarter to the others, unless told otherwise."""
    stream = {"interval": "1h", "max_series": 100, "sources": sources}
    settings = Settings.model_validate({"version": 1, "streams": {"s": stream}}).streams["s"]
    assert [settings.series_share(source) for source in settings.sources] == shares


@contextmanager
def running(directory: Path) -> Iterator[Pipeline]:
    """The pipeline of a stream with two files, turn by turn in this thread until it has read them."""
    pipeline = Pipeline(load(directory / "tidegauge.yaml"), InlineTrainer(), Durations(), stdout=io.BytesIO())
    turn = pipeline.turn

    def turn_or_end() -> bool:
        worked = turn()
        if not worked:
            pipeline.stop()
        return worked

    pipeline.turn = turn_or_end  # type: ignore[method-assign]
    pipeline.run()
    assert pipeline.error is None
    yield pipeline


def test_junk_of_one_source_leaves_room(tmp_path: Path) -> None:
    """A file of ever new series comes to its share, before and after a restart; the other's series come in."""
    (tmp_path / "tidegauge.yaml").write_text(
        f"version: 1\nstate_dir: state\nstreams:\n  s:\n    max_series: {MOST}\n    interval: 1h\n    clock: event\n"
        "    warm_up: 1d\n    format: {series: series}\n    model: {window: 8}\n"
        "    sources: [{path: junk.csv}, {path: good.csv}]\nevents: {stdout: false}\n"
    )
    for name, series in (("junk", [f"j{i}" for i in range(30)]), ("good", ["g1", "g2"])):
        rows = [f"2024-01-01T00:00:00Z,{each},1\n" for each in series]
        (tmp_path / f"{name}.csv").write_text("timestamp,series,value\n" + "".join(rows))
    with running(tmp_path) as pipeline:
        assert set(pipeline.durable.engine.streams["s"].table.row_of) == {*(f"j{i}" for i in range(9)), "g1", "g2"}
        assert pipeline.picture.streams["s"].rejected[REASON] == 21
        assert pipeline.picture.sources["s/0"]["rejected_lines"] == 21
    with (tmp_path / "junk.csv").open("a") as file:
        file.writelines(f"2024-01-01T01:00:00Z,k{i},1\n" for i in range(30))
    with (tmp_path / "good.csv").open("a") as file:
        file.write("2024-01-01T01:00:00Z,g3,1\n")
    with running(tmp_path) as pipeline:
        names = set(pipeline.durable.engine.streams["s"].table.row_of)
        assert names == {*(f"j{i}" for i in range(9)), "g1", "g2", "g3"}
        assert pipeline.picture.streams["s"].rejected[REASON] == 51
        sources = pipeline.picture.sources
        assert [(each["series"], each["series_limit"]) for _, each in sorted(sources.items())] == [(9, 9), (3, 9)]
        digest = pipeline.durable.digest()
    assert rerun(tmp_path / "state", lambda done, total: None).state_sha256 == digest
