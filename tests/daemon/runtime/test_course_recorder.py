"""What is kept of every series is what the engine made of it, however it arrived, and however often the daemon died."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

from daemon.config.settings import Settings
from daemon.runtime.durable import DurableEngine
from daemon.store import Store, course_file
from daemon.store.course_cells import FACTOR, LINES
from daemon.store.course_view import Course, CourseOf, read_course
from tests.daemon.engine.small_engines import FIRST, INTERVAL, STREAM, PureTrainer, Row, batch, config, noise, together

SLOTS = 3 * LINES
"""More than a ring has, so that the older half is there as summaries alone."""
LAST = FIRST + SLOTS - 1


def rows() -> list[Row]:
    """Two series, of which one has a gap and another a great value."""
    steady = [row for row in noise(range(SLOTS)) if not 700 <= row[1] < 705]
    odd = [(name, slot, value + 50 * (slot == 1000)) for name, slot, value in noise(range(SLOTS), "b", 1)]
    return together(steady, odd)


def driven(directory: Path, readings: Sequence[Row], at_once: int, lives: int = 1) -> None:
    """Readings through an engine on a state directory, in batches; each life but the last ends without a word."""
    settings = Settings.model_validate(config(retire_after="90d") | {"state_dir": str(directory)})
    share = -(-len(readings) // lives)
    for life in range(lives):
        with Store.open(directory) as store:
            durable = DurableEngine(store, PureTrainer())
            durable.recover()
            durable.configure(settings, 0)
            own = readings[life * share : (life + 1) * share]
            for start in range(0, len(own), at_once):
                durable.apply([batch(own[start : start + at_once])], {}, 0)
                if life == 0 and start == 0:
                    durable.checkpoint()
            if life == lives - 1:
                durable.courses.flush()


def course(directory: Path, series: str, slots: int, row: int = 0) -> Course:
    """The newest so many slots of a series."""
    of = CourseOf(STREAM, series, row, 1, INTERVAL, LAST * INTERVAL)
    return read_course(directory, of, (LAST + 1 - slots) * INTERVAL, (LAST + 1) * INTERVAL)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory after one life without interruption."""
    directory = tmp_path_factory.mktemp("kept")
    driven(directory, rows(), 64)
    return directory


def values(series: str, slots: Iterable[int]) -> np.ndarray:
    """Readings of a series in these slots, NaN where there is none."""
    found = {row[1]: row[2] for row in rows() if row[0] == series}
    return np.array([found.get(slot, np.nan) for slot in slots])


def test_recent_slots_are_there_one_by_one(kept: Path) -> None:
    """Each reading with its band around what was expected; what was scored has a score against its threshold."""
    found = course(kept, "a", 400)
    assert found.step_s == INTERVAL
    assert np.array_equal(found.at // INTERVAL, np.arange(LAST - 399, LAST + 1))
    assert np.allclose(found.value[:, 0], values("a", range(SLOTS - 400, SLOTS)), rtol=1e-6)
    assert (found.around > 0).all()
    assert ((found.score >= 0) & (found.threshold > 0)).all()


def test_the_newest_point_is_what_the_table_has(tmp_path: Path) -> None:
    """Expected value, bounds, score and threshold of the last reading are those that metrics show."""
    with Store.open(tmp_path) as store:
        durable = DurableEngine(store, PureTrainer())
        durable.recover()
        durable.configure(Settings.model_validate(config()), 0)
        durable.apply([batch(noise(range(150)))], {}, 0)
        durable.courses.flush()
        stream = durable.engine.streams[STREAM]
        a, record, least = stream.table.arrays, stream.table.rows[0], stream.threshold_of("a")
        of = CourseOf(STREAM, "a", 0, 1, INTERVAL, (FIRST + 149) * INTERVAL)
        found = read_course(tmp_path, of, (FIRST + 149) * INTERVAL, (FIRST + 150) * INTERVAL)
        assert found.expected[0, 0] == pytest.approx(a.expected[0, 0], rel=1e-6)
        assert found.expected[0, 0] - found.around[0, 0] == pytest.approx(a.lower[0, 0], rel=1e-5)
        assert found.expected[0, 0] + found.around[0, 0] == pytest.approx(a.upper[0, 0], rel=1e-5)
        assert found.score[0] == pytest.approx(record["score"], rel=1e-3)
        assert found.threshold[0] == pytest.approx(least, rel=1e-3)


def test_long_ranges_are_summed_up(kept: Path) -> None:
    """A point of a long range is the mean of its slots between the smallest and the greatest, with the worst score."""
    found = course(kept, "b", SLOTS, row=1)
    assert found.step_s == FACTOR * INTERVAL
    assert len(found.at) <= LINES
    first = int(found.at[0]) // INTERVAL
    truth = values("b", range(first - FIRST, SLOTS)).reshape(-1, FACTOR)
    assert np.allclose(found.value[:, 0], truth.mean(1), rtol=1e-5)
    assert np.allclose(found.low[:, 0], truth.min(1), rtol=1e-6)
    assert np.allclose(found.high[:, 0], truth.max(1), rtol=1e-6)
    at = (FIRST + 1000 - first) // FACTOR
    assert found.high[at, 0] > 50
    assert found.score[at] > 1


def test_a_gap_is_no_point(kept: Path) -> None:
    """Where nothing was read nothing is made up."""
    found = course(kept, "a", SLOTS - 100)
    missing = FIRST + np.arange(700, 705)
    whole = set((missing // FACTOR).tolist()) - {(FIRST + 699) // FACTOR, (FIRST + 705) // FACTOR}
    assert not whole & set((found.at // (FACTOR * INTERVAL)).tolist())
    assert not np.isnan(found.value).any()


@pytest.mark.parametrize(("at_once", "lives"), [(1000, 1), (7, 1), (64, 4)])
def test_batches_and_kills_do_not_matter(kept: Path, tmp_path: Path, at_once: int, lives: int) -> None:
    """However readings are cut, and after lives that ended in the middle: the same course, slot by slot and summed."""
    driven(tmp_path, rows(), at_once, lives)
    for slots in (300, SLOTS):
        for row, series in enumerate(("a", "b")):
            once, again = course(kept, series, slots, row), course(tmp_path, series, slots, row)
            for name in ("at", "value", "low", "high", "expected", "score", "threshold"):
                assert np.array_equal(getattr(once, name), getattr(again, name), equal_nan=True), (slots, series, name)


def test_a_history_that_comes_series_by_series_is_whole(kept: Path, tmp_path: Path) -> None:
    """Files read one after the other: what a ring has not room for was summed up before it was overwritten."""
    driven(tmp_path, sorted(rows(), key=lambda row: row[0]), 4000)
    for row, series in enumerate(("a", "b")):
        once, again = course(kept, series, SLOTS, row), course(tmp_path, series, SLOTS, row)
        assert np.array_equal(once.at, again.at)
        assert np.array_equal(once.low, again.low)
        assert np.array_equal(once.value, again.value)


def test_another_series_in_the_row_is_not_shown(kept: Path) -> None:
    """A cell is known by its series: of one whose row another had before, nothing of that is shown."""
    assert len(course(kept, "c", 400).at) == 0
    assert len(course(kept, "b", 400, row=0).at) == 0


def test_without_room_nothing_is_kept_and_all_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A disk with little room is the journal's: readings are taken, and there is no course."""
    monkeypatch.setattr(course_file, "LEFT_BYTES", 1 << 60)
    driven(tmp_path, noise(range(200)), 64)
    assert len(course(tmp_path, "a", SLOTS).at) == 0
    assert "courses cannot be kept" in caplog.text


def test_holes_that_a_copy_left_are_filled_before_anything_is_written(tmp_path: Path) -> None:
    """A file restored with holes takes its room when it is opened: later a full disk would end the process."""
    path = tmp_path / "tide.0"
    course_file.CourseFile(path, 1, INTERVAL).grow(course_file.BLOCK)
    with path.open("r+b") as file:
        size = path.stat().st_size
        file.truncate(4096)
        file.truncate(size)
    assert path.stat().st_blocks * 512 < size
    course_file.CourseFile(path, 1, INTERVAL)
    assert path.stat().st_blocks * 512 >= size


def test_courses_stay_within_their_bytes(tmp_path: Path) -> None:
    """Of series beyond the bound nothing is kept, of those within it everything."""
    settings = Settings.model_validate(config() | {"state_dir": str(tmp_path)})
    names = [f"n{i:02d}" for i in range(course_file.BLOCK)]
    with Store.open(tmp_path) as store:
        durable = DurableEngine(store, PureTrainer())
        durable.recover()
        durable.configure(settings, 0)
        durable.courses.most_bytes = 0
        durable.apply([batch(together(*(noise(range(5), name) for name in names)))], {}, 0)
        durable.courses.flush()
        assert not any(path.stat().st_size > 4096 for path in (tmp_path / "courses").iterdir())
        durable.courses.most_bytes = 1 << 30
        durable.apply([batch(together(*(noise(range(5, 9), name) for name in names)))], {}, 0)
        durable.courses.flush()
    of = CourseOf(STREAM, "n03", 3, 1, INTERVAL, (FIRST + 8) * INTERVAL)
    assert len(read_course(tmp_path, of, FIRST * INTERVAL, (FIRST + 9) * INTERVAL).at) == 4


def test_what_observes_changes_nothing(tmp_path: Path) -> None:
    """An engine that is observed comes to the state of one that is not, to the bit."""
    digests = []
    for watched in (True, False):
        with Store.open(tmp_path / str(watched)) as store:
            durable = DurableEngine(store, PureTrainer())
            durable.recover()
            durable.configure(Settings.model_validate(config()), 0)
            if not watched:
                durable.engine.streams[STREAM].scoring.observers.clear()
            durable.apply([batch(noise(range(120)))], {}, 0)
            digests.append(durable.digest())
    assert digests[0] == digests[1]
