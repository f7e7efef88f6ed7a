"""The runs of `bench lifecycle` as one SVG: for each change anomalous slots and error by day, with and without."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from daemon.bench.lifecycle import CHANGES, DAY, Run

WIDTH, ROW, LEFT, PLOT, GAP = 1000, 150, 190, 370, 50
ON, OFF = "#1f5fa8", "#c4571b"
MOST_ERROR = 6.0  # of the axis; errors above it are drawn at it


def svg(runs: Sequence[Run]) -> str:
    """The picture of the first seed's runs; no script, no font of its own."""
    first = min(run.seed for run in runs)
    height = 60 + ROW * len(CHANGES) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        _text(LEFT, 24, "anomalous slots a day (of 48)", 13),
        _text(LEFT + PLOT + GAP, 24, "error, in errors of the week before the change", 13),
        _text(LEFT, 44, "with the lifecycle", 12, ON),
        _text(LEFT + 120, 44, "without", 12, OFF),
        _text(LEFT + 190, 44, "dashed: adopted", 12, "#555"),
    ]
    for i, (change, (_, words)) in enumerate(CHANGES.items()):
        top = 60 + i * ROW
        parts.append(_text(10, top + 20, change.replace("_", " "), 14))
        parts += [_text(10, top + 40 + 16 * n, line, 11, "#555") for n, line in enumerate(_lines(words))]
        for run in sorted((r for r in runs if r.change == change and r.seed == first), key=lambda r: r.lifecycle):
            colour = ON if run.lifecycle else OFF
            parts.append(_curve([count / DAY for count in run.slots], LEFT, top, colour))
            parts.append(_curve([min(e, MOST_ERROR) / MOST_ERROR for e in run.error], LEFT + PLOT + GAP, top, colour))
            parts += _adopted(run, top)
        for left, most in ((LEFT, "48"), (LEFT + PLOT + GAP, f"{MOST_ERROR:g}")):
            parts += _axes(left, top, most, len(runs[0].slots))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _lines(words: str) -> list[str]:
    lines = [""]
    for word in words.split():
        if len(lines[-1]) + len(word) > 26:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _text(x: float, y: float, words: str, size: int, colour: str = "black") -> str:
    return f'<text x="{x}" y="{y}" font-size="{size}" fill="{colour}">{escape(words)}</text>'


def _curve(shares: Sequence[float], left: float, top: float, colour: str) -> str:
    step, height = PLOT / len(shares), ROW - 40
    points = " ".join(f"{left + (i + 0.5) * step:.1f},{top + height * (1 - s):.1f}" for i, s in enumerate(shares))
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'


def _adopted(run: Run, top: float) -> list[str]:
    if run.adopted_after_days is None:
        return []
    x = LEFT + run.adopted_after_days * PLOT / len(run.slots)
    place = f'x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{top + ROW - 40}"'
    return [f'<line {place} stroke="#555" stroke-dasharray="4 3"/>']


def _axes(left: float, top: float, most: str, days: int) -> list[str]:
    bottom = top + ROW - 40
    parts = [f'<path d="M{left} {top} V{bottom} H{left + PLOT}" fill="none" stroke="#999"/>']
    parts += [_text(left - 22, top + 8, most, 10, "#555"), _text(left - 12, bottom, "0", 10, "#555")]
    for day in range(0, days + 1, 7):
        parts.append(_text(left + day * PLOT / days - 4, bottom + 14, str(day), 10, "#555"))
    return [*parts, _text(left + PLOT - 24, bottom + 27, "days", 10, "#555")]
