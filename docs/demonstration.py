"""The picture of the README: what `make demo` shows, as a drawing, from readings that river ships.

python -m docs.demonstration docs/images/demonstration.svg
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from daemon.cli.demo import readings
from daemon.config.file import effective, from_effective
from daemon.engine.machine.engine import Engine
from daemon.engine.messages.events import Event
from daemon.engine.messages.inputs import Batch, Configured
from daemon.trainer.trainer import InlineTrainer
from docs.worked_example import STREAM

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 1000, 330, 46, 12, 46, 34
FLOW, BAND, ODD, QUIET = "#1f5f8b", "#9fc5d8", "#c0392b", "#eeeeee"
Point = tuple[int, float, float, float]
"""Epoch seconds, value, lower and upper bound of what was expected; NaN where nothing was."""


def run() -> tuple[list[Point], list[Event]]:
    """The readings one by one through an engine: what it knew after each, and its events as they ended."""
    engine = Engine(InlineTrainer())
    engine.step(Configured(effective(from_effective({"version": 1, "streams": {"flow": STREAM}}))))
    points: list[Point] = []
    events: dict[str, Event] = {}
    none = np.zeros(1, np.int32)
    for stamp, text in readings():
        at = int(datetime.fromisoformat(stamp).timestamp())
        batch = Batch("flow", 0, ["branch"], none, np.array([at * 1000]), none, np.array([[float(text)]]))
        events |= {event.id: event for event in engine.step(batch).events}
        arrays = engine.streams["flow"].table.arrays
        scored = bool(arrays.upper[0, 0] > arrays.lower[0, 0])
        bounds = (float(arrays.lower[0, 0]), float(arrays.upper[0, 0])) if scored else (np.nan, np.nan)
        points.append((at, float(text), *bounds))
    return points, list(events.values())


def picture(points: list[Point], events: list[Event]) -> str:
    """Readings over what was expected of them, and the episodes that were found, as SVG."""
    first, last = points[0][0], points[-1][0]
    top = max(value for _, value, _, _ in points) * 1.08

    def x(at: float) -> float:
        return LEFT + (at - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return TOP + (1 - min(max(value, 0.0), top) / top) * (HEIGHT - TOP - BOTTOM)

    judged = [point for point in points if not np.isnan(point[2])]
    return "\n".join(
        [*_frame(judged[0][0], x, y, points), *_episodes(events, x), *_lines(points, judged, x, y), "</svg>\n"]
    )


Place = Callable[[float], float]


def _frame(judged_at: int, x: Place, y: Place, points: list[Point]) -> Iterator[str]:
    low = HEIGHT - BOTTOM
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="12" role="img">'
    )
    yield "<title>Two months of water flow, what Tidegauge expected, and what it found odd</title>"
    yield '<rect width="100%" height="100%" fill="white"/>'
    yield f'<text x="{LEFT}" y="16">flow through a pipe, litres a second</text>'
    yield f'<rect x="{LEFT}" y="{TOP}" width="{x(judged_at) - LEFT:.1f}" height="{low - TOP}" fill="{QUIET}"/>'
    yield f'<text x="{LEFT + 3}" y="{low - 6}" fill="#777">warm-up</text>'
    for value in (0, 50, 100, 150):
        if y(value) >= TOP and (value == 0 or y(value) < low):
            yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#ddd"/>'
            yield f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end" fill="#555">{value}</text>'
    for at, *_ in points:
        day = datetime.fromtimestamp(at, UTC)
        if day.hour == 0 and day.day in (1, 8, 15, 22):
            yield f'<text x="{x(at):.1f}" y="{HEIGHT - 12}" text-anchor="middle" fill="#555">{day.day} {day:%b}</text>'


def _episodes(events: list[Event], x: Place) -> Iterator[str]:
    """Each as a bar over its time, with its reason where there is room for it; red where somebody was told."""
    free, low = 0.0, HEIGHT - BOTTOM
    for event in sorted(events, key=lambda event: event.started_at):
        begin, end = x(event.started_at), max(x(event.ended_at), x(event.started_at) + 2.5)
        if event.reasons == ("drift",):
            yield f'<rect x="{begin:.1f}" y="{low - 5}" width="{end - begin:.1f}" height="5" fill="#777"/>'
            yield f'<text x="{end + 4:.1f}" y="{low - 6}" fill="#777">adopted as normal (drift)</text>'
            continue
        shade = ODD if event.notified else "#999"
        yield (
            f'<rect x="{begin:.1f}" y="{TOP}" width="{end - begin:.1f}" height="{low - TOP}" '
            f'fill="{shade}" opacity=".22"/>'
        )
        if event.notified and begin >= free:
            text = ", ".join(event.reasons)
            yield f'<text x="{begin:.1f}" y="{TOP - 6}" fill="{shade}">{text}</text>'
            free = begin + 7 * len(text) + 8


def _lines(points: list[Point], judged: list[Point], x: Place, y: Place) -> Iterator[str]:
    edge = [f"{x(at):.1f},{y(upper):.1f}" for at, _, _, upper in judged]
    edge += [f"{x(at):.1f},{y(lower):.1f}" for at, _, lower, _ in reversed(judged)]
    yield f'<polygon points="{" ".join(edge)}" fill="{BAND}" opacity=".55"/>'
    line = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value, _, _ in points)
    yield f'<polyline points="{line}" fill="none" stroke="{FLOW}" stroke-width="1.1"/>'
    yield f'<rect x="{WIDTH - 350}" y="7" width="14" height="10" fill="{BAND}"/>'
    yield f'<text x="{WIDTH - 332}" y="16">expected, with bounds</text>'
    yield f'<rect x="{WIDTH - 185}" y="7" width="14" height="10" fill="{ODD}" opacity=".35"/>'
    yield f'<text x="{WIDTH - 167}" y="16">an episode, somebody told</text>'
    yield f'<rect x="{WIDTH - 510}" y="7" width="14" height="10" fill="#999" opacity=".35"/>'
    yield f'<text x="{WIDTH - 492}" y="16">an episode, recorded</text>'


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(picture(*run()), encoding="utf-8")
