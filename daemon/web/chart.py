"""The chart of a series, drawn by the daemon as SVG: readings with their band above, score against threshold below.

It has no style of its own: classes are coloured by the page's sheet, so that it is light or dark as the page is. All
that comes from outside is escaped, and every other text is made here of numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape

from daemon.presentation.words import REASON_WORDS, instant

LEFT, RIGHT, TOP = 52, 10, 12
READINGS, SCORES, BETWEEN, BOTTOM = 210, 84, 20, 38
"""Heights of the two panels, of what is between and below them."""
HEIGHT = TOP + READINGS + BETWEEN + SCORES + BOTTOM
_STEPS_S = (3600, 10800, 21600, 43200, 86400, 2 * 86400, 7 * 86400, 14 * 86400, 30 * 86400, 61 * 86400, 122 * 86400)
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Frame:
    """Where things are: `width` wide, from `since` to `until` (epoch seconds), readings from `low` to `high`."""

    width: int
    since: int
    until: int
    low: float
    high: float
    worst: float

    def x(self, at: float) -> float:
        """Of an instant."""
        share = (at - self.since) / max(self.until - self.since, 1)
        return LEFT + min(max(share, 0.0), 1.0) * (self.width - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Of a reading."""
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return TOP + READINGS * (1 - min(max(share, 0.0), 1.0))

    def y_score(self, score: float) -> float:
        """Of a score: by its logarithm, as one of 30 must not hide where 1 is."""
        share = math.log2(1 + max(score, 0.0)) / math.log2(1 + self.worst)
        return TOP + READINGS + BETWEEN + SCORES * (1 - min(share, 1.0))


def draw(course: Mapping[str, Any], width: int, title: str) -> Markup:
    """The chart of what `api_answers.course` gives; of several variables the first is drawn.

    Args:
        course: One series in a range.
        width: In the units of its own grid; 960 suits a screen, 440 a phone.
        title: What a screen reader says it is.
    """
    at = np.asarray(course["at"], np.int64)
    columns = {name: _first(course[name]) for name in ("value", "low", "high", "expected", "lower", "upper")}
    frame = _frame(course, width, columns)
    score = np.asarray(course["score"], np.float64)
    middle = at + course["step_s"] / 2
    runs = _runs(at, course["step_s"])
    parts = [
        *_axes(frame),
        *_periods(frame, course),
        *_areas(frame, middle, columns["lower"], columns["upper"], "band", runs),
        *_areas(frame, middle, columns["low"], columns["high"], "spread", runs),
        *_lines(frame, middle, columns["expected"], "expected", runs, frame.y),
        *_lines(frame, middle, columns["value"], "reading", runs, frame.y),
        *_lines(frame, middle, score, "score", runs, frame.y_score),
        *_beyond(frame, middle, columns, score),
        f'<path class="threshold" d="M{LEFT} {frame.y_score(1):.1f}H{width - RIGHT}"/>',
    ]
    return Markup(f'<svg viewBox="0 0 {width} {HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>')


def _first(values: Any) -> Values:
    found = np.asarray(values, np.float64)
    return found[:, 0] if found.ndim > 1 else found


def _frame(course: Mapping[str, Any], width: int, columns: Mapping[str, Values]) -> Frame:
    """The scale: readings whole, the band as far as it is not many times wider than they are."""
    read = np.concatenate([columns["low"], columns["high"]])
    low, high = (float(np.nanmin(read)), float(np.nanmax(read))) if len(read) else (0.0, 1.0)
    room = (high - low) or abs(high) or 1.0
    band = np.concatenate([columns["lower"], columns["upper"]])
    band = band[~np.isnan(band)]
    if len(band):
        low, high = min(low, max(float(band.min()), low - room)), max(high, min(float(band.max()), high + room))
    edge = 0.04 * ((high - low) or 1.0)
    score = np.asarray(course["score"], np.float64)
    worst = float(np.nanmax(score)) if len(score) and not np.isnan(score).all() else 0.0
    return Frame(width, course["since"], course["until"], low - edge, high + edge, max(worst * 1.05, 1.6))


def _runs(at: npt.NDArray[np.int64], step_s: int) -> list[slice]:
    """Points without a gap between them."""
    cuts = [0, *(np.flatnonzero(np.diff(at) > step_s) + 1).tolist(), len(at)]
    return [slice(a, b) for a, b in pairwise(cuts) if b > a]


def _lines(frame: Frame, at: Values, values: Values, name: str, runs: Sequence[slice], y: Any) -> Iterable[str]:
    for run in runs:
        points = [(frame.x(t), y(v)) for t, v in zip(at[run], values[run], strict=True) if not math.isnan(v)]
        if len(points) == 1:
            yield f'<circle class="{name}-dot" cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="1.5"/>'
        elif points:
            yield f'<polyline class="{name}" points="{_points(points)}"/>'


def _areas(frame: Frame, at: Values, low: Values, high: Values, name: str, runs: Sequence[slice]) -> Iterable[str]:
    for run in runs:
        known = ~np.isnan(low[run]) & ~np.isnan(high[run])
        t, below, above = at[run][known], low[run][known], high[run][known]
        if len(t) > 1 and (above > below).any():
            top = [(frame.x(a), frame.y(v)) for a, v in zip(t, above, strict=True)]
            bottom = [(frame.x(a), frame.y(v)) for a, v in zip(t[::-1], below[::-1], strict=True)]
            yield f'<polygon class="{name}" points="{_points(top + bottom)}"/>'


def _beyond(frame: Frame, at: Values, columns: Mapping[str, Values], score: Values) -> Iterable[str]:
    """A dot on each anomalous reading; of a point that sums up several, on the one furthest from what was expected."""
    low, high, expected = columns["low"], columns["high"], columns["expected"]
    values = np.where(np.abs(high - expected) >= np.abs(expected - low), high, low)
    for k in np.flatnonzero(score > 1).tolist():
        yield f'<circle class="odd" cx="{frame.x(at[k]):.1f}" cy="{frame.y(values[k]):.1f}" r="3"/>'


def _points(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _periods(frame: Frame, course: Mapping[str, Any]) -> Iterable[str]:
    """Episodes behind everything, new levels as lines, labels as a strip below, promotions as marks above, in words."""
    bottom = TOP + READINGS + BETWEEN + SCORES
    for event in course["events"]:
        reasons = "; ".join(REASON_WORDS.get(reason, reason) for reason in event["reasons"])
        end = frame.until if event["state"] == "open" else event["ended_at"] + course["step_s"]
        said = f"{instant(event['started_at'])}: {reasons}"
        if "drift" in event["reasons"]:
            x = frame.x(event["ended_at"])
            yield f'<path class="drift" d="M{x:.1f} {TOP}V{bottom}"><title>{escape(said)}</title></path>'
        box = _box(frame, event["started_at"], end, TOP, bottom - TOP, "episode", said)
        yield f'<a href="event?id={escape(event["id"])}">{box}</a>'
    for label in course["labels"]:
        said = f"labelled {label['kind']}" + (f": {label['note']}" if label["note"] else "")
        end = label["until"] + course["step_s"]
        yield _box(frame, label["since"], end, TOP + READINGS + 4, 8, f"label-{label['kind']}", said)
    for model in course["promotions"]:
        at = model["trained_to"] or model["at"]
        words = f"version {model['version']} {'was taken back' if model['status'] == 'rolled_back' else 'promoted'}"
        x = frame.x(at)
        title = f"<title>{escape(f'{instant(at)}: {words}')}</title>"
        yield f'<path class="promotion" d="M{x:.1f} {TOP}l-4 -7h8z">{title}</path>'


def _box(frame: Frame, since: float, until: float, y: float, height: float, name: str, said: str) -> str:
    x, end = frame.x(since), frame.x(until)
    return (
        f'<rect class="{name}" x="{x:.1f}" y="{y:.1f}" width="{max(end - x, 2):.1f}" height="{height:.1f}">'
        f"<title>{escape(said)}</title></rect>"
    )


def _axes(frame: Frame) -> Iterable[str]:
    """Lines and numbers of both panels, and instants below."""
    right, bottom = frame.width - RIGHT, TOP + READINGS + BETWEEN + SCORES
    for value in _nice(frame.low, frame.high, 5):
        y = frame.y(value)
        yield f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="tick end" x="{LEFT - 6}" y="{y + 4:.1f}">{value:,.6g}</text>'
    top = TOP + READINGS + BETWEEN
    yield f'<rect class="panel" x="{LEFT}" y="{TOP}" width="{right - LEFT}" height="{READINGS}"/>'
    yield f'<rect class="panel" x="{LEFT}" y="{top}" width="{right - LEFT}" height="{SCORES}"/>'
    yield f'<text class="tick end" x="{LEFT - 6}" y="{frame.y_score(1) + 4:.1f}">1</text>'
    yield f'<text class="tick end" x="{LEFT - 6}" y="{top + 9}">{frame.worst:.2g}</text>'
    yield f'<text class="tick" x="{LEFT + 5}" y="{top + 13}">score</text>'
    for at, text in _instants(frame):
        x = frame.x(at)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}"/>'
        yield f'<text class="tick middle" x="{x:.1f}" y="{bottom + 18}">{text}</text>'


def _instants(frame: Frame) -> Iterable[tuple[int, str]]:
    """Round instants, as many as there is room for, in words."""
    room = max((frame.width - LEFT) // 90, 2)
    step = next((s for s in _STEPS_S if (frame.until - frame.since) / s <= room), _STEPS_S[-1])
    first = -(-frame.since // step) * step
    for at in range(first, frame.until + 1, step):
        moment = datetime.fromtimestamp(at, UTC)
        form = "%H:%M" if step < 86400 and moment.hour + moment.minute else "%b %Y" if step > 30 * 86400 else "%d %b"
        if LEFT + 14 < frame.x(at) < frame.width - 24:
            yield at, moment.strftime(form)


def _nice(low: float, high: float, most: int) -> list[float]:
    """Round numbers between two, at most so many."""
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return []
    size = 10.0 ** math.floor(math.log10(span / most))
    step = next(size * k for k in (1, 2, 5, 10, 20) if span / (size * k) <= most)
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]
