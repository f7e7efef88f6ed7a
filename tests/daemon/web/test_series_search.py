"""Series are found by name, state, stream and reason, in pages that neither repeat nor leave out any."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from daemon.metrics.collector import Picture
from daemon.metrics.snapshot import OpenEpisode
from daemon.web.series_search import SeriesFilter, find, open_reasons, search
from tests.daemon.web.pictures import NOW, columns, picture, stream


def fleet() -> Picture:
    """Two streams: one with a silent series and one with open episodes, and one in warm-up."""
    meters = columns([f"Meter-{i:03d}" for i in range(50)])
    silent = np.zeros(50, np.bool_)
    silent[7] = True
    episodes = {3: OpenEpisode("a" * 16, NOW, ("model", "novelty")), 4: OpenEpisode("b" * 16, NOW, ("limit",))}
    meters = replace(meters, silent=silent, episodes=episodes)
    return picture(stream("meters", meters), stream("pumps", columns(["pump-a", "Pump-B"], status="warming")))


def names(wanted: SeriesFilter, limit: int = 1000, shown: Picture | None = None) -> list[str]:
    """Names of a whole search, page by page."""
    shown, found, cursor = shown or fleet(), [], None
    while True:
        page = search(shown, wanted, limit, cursor)
        assert len(page.rows) <= limit
        found += [each.series.name[entry] for each, entry in page.rows]
        cursor = page.next
        if cursor is None:
            assert page.total == len(found)
            return found


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (SeriesFilter(q="pump"), ["Pump-B", "pump-a"]),
        (SeriesFilter(q="PUMP-?"), ["Pump-B", "pump-a"]),
        (SeriesFilter(q="pump-"), ["Pump-B", "pump-a"]),
        (SeriesFilter(q="*b"), ["Pump-B"]),
        (SeriesFilter(q="[a"), []),
        (SeriesFilter(q="meter-00*", stream="pumps"), []),
        (SeriesFilter(state="silent"), ["Meter-007"]),
        (SeriesFilter(state="warming"), ["Pump-B", "pump-a"]),
        (SeriesFilter(reason="novelty"), ["Meter-003"]),
        (SeriesFilter(reason="gap"), ["Meter-007"]),
        (SeriesFilter(reason="gap", stream="pumps"), []),
        (SeriesFilter(stream="nowhere"), []),
        (SeriesFilter(state="anomalous", q="-04"), [f"Meter-{i:03d}" for i in range(49, 39, -1)]),
    ],
)
def test_what_is_asked_for_is_found(wanted: SeriesFilter, expected: list[str]) -> None:
    """Names in any case, patterns with wildcards, states and open reasons; conditions hold together."""
    assert names(wanted) == expected


@pytest.mark.parametrize("order", ["score", "name"])
@pytest.mark.parametrize("limit", [1, 7, 51, 52, 1000])
def test_pages_have_each_series_once_in_order(order: str, limit: int) -> None:
    """However long a page, all pages together are the whole list."""
    found = names(SeriesFilter(order=order), limit)
    assert len(set(found)) == 52
    if order == "name":
        assert found == sorted(found)
    else:
        assert found[:2] == ["Meter-049", "Meter-048"]


@pytest.mark.parametrize("limit", [1, 3, 64])
def test_equal_scores_are_told_apart_by_name(limit: int) -> None:
    """A fleet in warm-up has no scores, and its pages are whole all the same."""
    calm = picture(stream("calm", columns([f"{i * 37 % 100:02d}" for i in range(100)], status="warming")))
    assert names(SeriesFilter(), limit, calm) == [f"{i:02d}" for i in range(100)]


@pytest.mark.parametrize("cursor", ["", "x", "e30", "WzEsMiwzXQ", "WyJhIiwgImIiLCAiYyJd", "____", "W1tbW1tb"])
def test_a_cursor_that_no_search_gave_is_said(cursor: str) -> None:
    """It is no error of ours, and not taken for the beginning."""
    with pytest.raises(LookupError, match="begin without one"):
        search(fleet(), SeriesFilter(), 5, cursor)


def test_one_series_and_what_is_open_of_it() -> None:
    """A series is found by stream and whole name; a gap is among its open reasons."""
    shown = fleet()
    found = find(shown, "meters", "Meter-007")
    assert found is not None
    assert open_reasons(found[0].series, found[1]) == ("gap",)
    assert open_reasons(found[0].series, 3) == ("model", "novelty")
    assert find(shown, "meters", "meter-007") is None
    assert find(shown, "nowhere", "Meter-007") is None
