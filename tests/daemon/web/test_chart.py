"""The chart shows what is there and nothing else, and no name or note can be more than text."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from daemon.web.chart import HEIGHT, draw
from tests.daemon.web.pictures import NOW, event

HOSTILE = "<script>alert(1)</script>\"'&"


def course(count: int = 96, **changes: Any) -> dict[str, Any]:
    """Two days of a series that is as expected, but for one reading."""
    value = np.sin(np.arange(count) / 8)[:, None] + 10
    score = np.full(count, 0.2)
    value[70:71], score[70:71] = 30.0, 5.0
    made = {
        "since": NOW - count * 1800,
        "until": NOW,
        "step_s": 1800,
        "at": NOW + 1800 * (np.arange(count) - count),
        **dict.fromkeys(("value", "low", "high"), value),
        "expected": np.full((count, 1), 10.0),
        "lower": np.full((count, 1), 8.0),
        "upper": np.full((count, 1), 12.0),
        "score": score,
        "events": [],
        "labels": [],
        "promotions": [],
    }
    return made | changes


def drawn(width: int = 960, **changes: Any) -> list[ElementTree.Element]:
    """Elements of a chart, which is well-formed."""
    return list(ElementTree.fromstring(str(draw(course(**changes), width, "a series"))).iter())


def named(elements: list[ElementTree.Element], name: str) -> list[ElementTree.Element]:
    """Those of a class."""
    return [each for each in elements if each.get("class") == name]


@pytest.mark.parametrize("width", [440, 960])
def test_everything_lies_within_the_drawing(width: int) -> None:
    """Readings far from all others, open events and promotions: nothing is drawn beyond its edges."""
    beside: dict[str, Any] = {
        "events": [event(started_at=NOW - 7200, ended_at=NOW + 9_000_000)],
        "promotions": [{"version": 3, "status": "promoted", "trained_to": NOW - 9000, "at": NOW}],
    }
    for element in drawn(width, **beside):
        for x, y in re.findall(r"(-?[\d.]+),(-?[\d.]+)", element.get("points", "")):
            assert 0 <= float(x) <= width
            assert 0 <= float(y) <= HEIGHT
        if element.get("width") and element.get("x"):
            assert float(element.get("x", 0)) + float(element.get("width", 0)) <= width


def test_an_anomalous_reading_has_its_dot() -> None:
    """One dot for the one score above 1, on its reading, which is the highest point of the line."""
    elements = drawn()
    (dot,) = named(elements, "odd")
    (line,) = named(elements, "reading")
    heights = [float(y) for y in re.findall(r",([\d.]+)", line.get("points", ""))]
    assert float(dot.get("cy", 0)) == pytest.approx(min(heights), abs=0.11)


def test_of_a_summary_the_furthest_reading_has_the_dot() -> None:
    """Where a point is the mean of several, the dot is on the one that was odd."""
    wide = course()
    high = wide["high"].copy()
    high[70] = 60.0
    (dot,) = named(drawn(high=high), "odd")
    (line,) = named(drawn(high=high), "reading")
    assert float(dot.get("cy", 0)) < min(float(y) for y in re.findall(r",([\d.]+)", line.get("points", ""))) - 20


def test_a_gap_breaks_the_line() -> None:
    """Nothing is drawn over hours without a reading."""
    whole = course()
    left = np.r_[0:40, 50:96]
    cut = {name: whole[name][left] for name in ("at", "value", "low", "high", "expected", "lower", "upper", "score")}
    assert len(named(drawn(**cut), "reading")) == 2
    assert len(named(drawn(**cut), "band")) == 2


def test_what_was_not_scored_has_no_band() -> None:
    """A series in warm-up is its readings alone."""
    nan = np.full((96, 1), np.nan)
    elements = drawn(expected=nan, lower=nan, upper=nan, score=np.full(96, np.nan))
    assert not named(elements, "band") + named(elements, "expected") + named(elements, "score") + named(elements, "odd")
    assert len(named(elements, "reading")) == 1


@pytest.mark.parametrize("value", [0.0, 5.0, 1e-9, 1e12])
def test_a_constant_series_is_drawn(value: float) -> None:
    """All readings alike, whatever they are, are a line."""
    flat = np.full((96, 1), value)
    elements = drawn(value=flat, low=flat, high=flat, expected=flat, lower=flat, upper=flat)
    assert len(named(elements, "reading")) == 1
    assert "nan" not in "".join(str(element.attrib) for element in elements)


def test_nothing_and_one_reading_are_drawn() -> None:
    """A range without a reading is a frame, one with a single reading a dot."""
    assert not named(drawn(count=0), "reading")
    assert len(named(drawn(count=1), "reading-dot")) == 1


def test_what_comes_from_outside_is_text() -> None:
    """Notes, reasons, ids and titles cannot be markup."""
    beside: dict[str, Any] = {
        "events": [event(reasons=(HOSTILE,), id=HOSTILE)],
        "labels": [{"kind": "fault", "since": NOW - 9000, "until": NOW, "note": HOSTILE}],
    }
    text = str(draw(course(**beside), 960, HOSTILE))
    assert "<script" not in text
    ElementTree.fromstring(text)


def test_events_lead_to_their_pages() -> None:
    """An episode is a link with a title that says what it was."""
    elements = drawn(events=[event()])
    (link,) = [each for each in elements if each.tag.endswith("a")]
    assert link.get("href") == "event?id=0123456789abcdef"
    assert "the model did not expect it" in "".join(link.itertext())


def test_a_new_level_is_a_line_where_it_was_adopted() -> None:
    """At the end of the event that says so, within the panels; other events have none."""
    adopted = event(started_at=NOW - 90_000, ended_at=NOW - 45_000, reasons=("drift",))
    elements = drawn(events=[adopted, event(started_at=NOW - 7200, ended_at=NOW - 3600)])
    (line,) = named(elements, "drift")
    found = re.fullmatch(r"M([\d.]+) [\d.]+V[\d.]+", line.get("d", ""))
    boxes = sorted(float(box.get("x", 0)) for box in named(elements, "episode"))
    assert found is not None
    assert boxes[0] < float(found[1]) < boxes[1]
