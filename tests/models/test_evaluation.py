from __future__ import annotations

import doctest
from pathlib import Path

import orjson
import pytest

import models.evaluation
from models.evaluation import match_events, read_windows

PAIRS = [["2014-11-01 19:00:00.000000", "2014-11-03 22:30:00.000000"], ["2014-10-30 15:30:00", "2014-10-31 00:00:00"]]
LABELS = {"realKnownCause/nyc_taxi.csv": PAIRS, "a/same.csv": [], "b/same.csv": [[1, 2]]}


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    (tmp_path / "combined_windows.json").write_bytes(orjson.dumps(LABELS))
    return tmp_path / "combined_windows.json"


def test_the_docstrings_example_holds() -> None:
    """What the docstrings show is what happens."""
    assert doctest.testmod(models.evaluation).attempted == 1
    assert doctest.testmod(models.evaluation).failed == 0


@pytest.mark.parametrize(
    "name", ["nyc_taxi.csv", "realKnownCause/nyc_taxi.csv", "/data/nab/realKnownCause/nyc_taxi.csv"]
)
def test_a_users_path_finds_its_key(labels: Path, name: str) -> None:
    """The end of the path decides; the windows come sorted, as epoch seconds."""
    assert read_windows(labels, name) == [(1414683000.0, 1414713600.0), (1414868400.0, 1415053800.0)]


def test_stamps_are_local(labels: Path) -> None:
    """Stamps without a zone are read in the stream's, across a change of summer time."""
    assert read_windows(labels, "nyc_taxi.csv", "America/New_York")[0][0] == 1414683000 + 4 * 3600
    assert read_windows(labels, "nyc_taxi.csv", "America/New_York")[1][1] == 1415053800 + 5 * 3600


def test_the_longest_common_end_decides(labels: Path) -> None:
    """Two files of one name are told apart by their directory, and are an error without it."""
    assert read_windows(labels, "/x/b/same.csv") == [(1.0, 2.0)]
    assert read_windows(labels, "/x/a/same.csv") == []
    with pytest.raises(ValueError, match=r"any of a/same\.csv, b/same\.csv"):
        read_windows(labels, "same.csv")


def test_an_unknown_file_is_an_error(labels: Path) -> None:
    """A file without labels is not taken for one without anomalies; part of a name is no match."""
    with pytest.raises(ValueError, match=r"no key ends in taxi\.csv"):
        read_windows(labels, "taxi.csv")


def test_a_plain_list_is_taken_whatever_the_file(tmp_path: Path) -> None:
    """A list of pairs needs no key; stamps may be numbers or carry their zone."""
    path = tmp_path / "windows.json"
    path.write_bytes(orjson.dumps([[20, 30.5], ["1970-01-01T01:00:05+01:00", 9]]))
    assert read_windows(path, "any.csv", "Asia/Tokyo") == [(5.0, 9.0), (20.0, 30.5)]


@pytest.mark.parametrize("text", ["{", "[[1]]", "[1]", '[["yesterday", 2]]', "3"])
def test_another_layout_is_an_error_that_names_the_file(tmp_path: Path, text: str) -> None:
    """A damaged file says which file and what was expected."""
    path = tmp_path / "windows.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"windows\.json: .*expected pairs of stamps"):
        read_windows(path, "any.csv")


def test_events_find_the_windows_they_overlap() -> None:
    """An event counts for every window it overlaps, by one instant too; several in one window are not false."""
    windows = [(100, 200), (300, 400), (500, 600)]
    events = [(90, 100), (150, 160), (350, 520), (210, 290), (601, 700)]
    assert match_events(windows, events) == (3, [True, True, True], 2)
    assert match_events(windows, []) == (0, [False, False, False], 0)
    assert match_events([], events) == (0, [], 5)
