"""The worked example of docs/detection.md: its table and its picture, from readings that river ships.

python -m docs.worked_example            # prints the table
python -m docs.worked_example out.svg    # draws the picture, too
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from daemon.cli.demo import CONFIGURATION, readings
from daemon.config.file import effective, from_effective
from daemon.engine.machine.engine import Engine
from daemon.engine.machine.stream import Stream
from daemon.engine.messages.inputs import Batch, Configured
from daemon.trainer.trainer import InlineTrainer

STREAM = yaml.safe_load(CONFIGURATION.format())["streams"]["water-flow"] | {"sources": []}
SHOWN = (datetime(2022, 4, 26, 12, tzinfo=UTC), datetime(2022, 4, 28, 18, tzinfo=UTC))
LINES = datetime(2022, 4, 27, 10, tzinfo=UTC), datetime(2022, 4, 28, 2, tzinfo=UTC)
WIDTH, PANEL, LEFT, GAP = 900, 150, 70, 30


@dataclass(frozen=True)
class Row:
    """What the engine knew of the series right after one reading."""

    at: datetime
    value: float
    expected: float
    lower: float
    upper: float
    rank: float
    rarity: float
    threshold: float
    means: tuple[float, float, float]
    usual: tuple[float, float, float]
    reasons: tuple[str, ...]


def run() -> list[Row]:
    """The readings one by one through an engine."""
    engine = Engine(InlineTrainer())
    engine.step(Configured(effective(from_effective({"version": 1, "streams": {"flow": STREAM}}))))
    rows: list[Row] = []
    none = np.zeros(1, np.int32)
    for stamp, text in readings():
        at = datetime.fromisoformat(stamp).astimezone(UTC)
        at_ms = np.array([int(at.timestamp() * 1000)])
        events = engine.step(Batch("flow", 0, ["branch"], none, at_ms, none, np.array([[float(text)]]))).events
        reasons = tuple(r for event in events if event.state == "open" for r in event.reasons)
        rows.append(_row(engine.streams["flow"], at, float(text), reasons))
    return rows


def _row(stream: Stream, at: datetime, value: float, reasons: tuple[str, ...]) -> Row:
    arrays = stream.table.arrays
    record: Any = arrays.rows[0]
    parts = [record["statistics"][name] for name in ("newest", "rms", "instant")]
    means = [float(np.mean(p["raw"][: max(1, min(int(p["count"]), len(p["raw"])))])) for p in parts]
    return Row(
        at=at,
        value=value,
        expected=float(arrays.expected[0, 0]),
        lower=float(arrays.lower[0, 0]),
        upper=float(arrays.upper[0, 0]),
        rank=float(record["rank"]),
        rarity=float(record["rarity"]),
        threshold=float(stream.scoring.policies["threshold"][0]),
        means=(means[0], means[1], means[2]),
        usual=tuple(float(p["mean"]) for p in parts),  # type: ignore[arg-type]
        reasons=reasons,
    )


def table(rows: list[Row]) -> str:
    """The rows of `LINES` as Markdown."""
    lines = [
        "| UTC | value | expected | M newest (usual) | M window (usual) | this window (usual) | rank | rarity | |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        if LINES[0] <= row.at <= LINES[1]:
            parts = " | ".join(f"{m:.2f} ({u:.2f})" for m, u in zip(row.means, row.usual, strict=True))
            said = "event: " + ", ".join(row.reasons) if row.reasons else ""
            lines.append(
                f"| {row.at:%m-%d %H:%M} | {row.value:.1f} | {row.expected:.1f} | {parts} "
                f"| {row.rank:.2f} | {row.rarity:.2f} | {said} |"
            )
    return "\n".join(lines)


def picture(rows: list[Row]) -> str:
    """Readings with expected value and bounds, rank, and rarity against its threshold, as SVG."""
    shown = [row for row in rows if SHOWN[0] <= row.at <= SHOWN[1]]
    panels = [
        ("litres per second", [r.value for r in shown], [r.expected for r in shown], None),
        ("rank", [r.rank for r in shown], None, None),
        ("rarity", [r.rarity for r in shown], None, shown[0].threshold),
    ]
    height = len(panels) * (PANEL + GAP) + GAP
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for i, (title, line, dashed, bound) in enumerate(panels):
        out += _panel(GAP + i * (PANEL + GAP), title, line, dashed, bound)
    for j, row in enumerate(shown):
        x = _x(j, len(shown))
        if row.at.hour % 12 == 0:
            out.append(f'<text x="{x:.0f}" y="{height - 8}" text-anchor="middle">{row.at:%d %b %H:%M}</text>')
        if row.reasons:
            out.append(f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{GAP}" y2="{height - GAP}" stroke="#c00" opacity=".5"/>')
    return "\n".join([*out, "</svg>", ""])


def _panel(top: int, title: str, line: list[float], dashed: list[float] | None, bound: float | None) -> list[str]:
    every = [*line, *(dashed or []), *([bound] if bound is not None else []), 0.0]
    low, high = min(every), max(every)

    def points(values: list[float]) -> str:
        return " ".join(f"{_x(j, len(values)):.1f},{_y(v, top, low, high):.1f}" for j, v in enumerate(values))

    out = [
        f'<rect x="{LEFT}" y="{top}" width="{WIDTH - LEFT - 10}" height="{PANEL}" fill="none" stroke="#ccc"/>',
        f'<text x="{LEFT}" y="{top - 8}">{title}</text>',
    ]
    out += [
        f'<text x="{LEFT - 6}" y="{_y(v, top, low, high) + 4:.1f}" text-anchor="end">{v:.3g}</text>'
        for v in (low, high)
    ]
    if dashed is not None:
        out.append(f'<polyline points="{points(dashed)}" fill="none" stroke="#888" stroke-dasharray="4 3"/>')
        out.append(f'<text x="{WIDTH - 14}" y="{top - 8}" text-anchor="end" fill="#888">dashed: expected</text>')
    if bound is not None:
        y = _y(bound, top, low, high)
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - 10}" y1="{y:.1f}" y2="{y:.1f}" stroke="#c00"/>')
        out.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" fill="#c00">{bound:.2f}</text>')
    return [*out, f'<polyline points="{points(line)}" fill="none" stroke="#06c" stroke-width="1.5"/>']


def _x(j: int, count: int) -> float:
    return LEFT + j * (WIDTH - LEFT - 10) / max(count - 1, 1)


def _y(value: float, top: int, low: float, high: float) -> float:
    return top + PANEL * (1 - (value - low) / max(high - low, 1e-9))


if __name__ == "__main__":
    found = run()
    sys.stdout.write(table(found) + "\n")
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(picture(found), encoding="utf-8")
