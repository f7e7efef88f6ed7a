"""The runs of `bench lifecycle` as one SVG: for each change anomalous slots and error by day, with and without."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from daemon.bench.lifecycle import CHANGES, DAY, Run
from models.markup import render as fill

WIDTH, ROW, LEFT, PLOT, GAP = 1000, 150, 190, 370, 50
ON, OFF = "#1f5fa8", "#c4571b"
MOST_ERROR = 6.0  # of the axis; errors above it are drawn at it


def svg(runs: Sequence[Run]) -> str:
    """The picture of the first seed's runs; no script, no font of its own."""
    first = min(run.seed for run in runs)
    return fill(
        "daemon.bench",
        "lifecycle.svg",
        width=WIDTH,
        height=60 + ROW * len(CHANGES) + 30,
        left=LEFT,
        plot=PLOT,
        on=ON,
        off=OFF,
        axes=[(LEFT, "48"), (LEFT + PLOT + GAP, f"{MOST_ERROR:g}")],
        days=len(runs[0].slots),
        rows=[
            _row(60 + i * ROW, change, words, [run for run in runs if run.change == change and run.seed == first])
            for i, (change, (_, words)) in enumerate(CHANGES.items())
        ],
    )


def _row(top: int, change: str, words: str, runs: Sequence[Run]) -> dict[str, Any]:
    """What is drawn of one change: words on the left, then a curve of slots and one of errors for each run."""
    curves = []
    for run in sorted(runs, key=lambda run: run.lifecycle):
        colour = ON if run.lifecycle else OFF
        errors = [min(error, MOST_ERROR) / MOST_ERROR for error in run.error]
        curves.append({"colour": colour, "points": _points([count / DAY for count in run.slots], LEFT, top)})
        curves.append({"colour": colour, "points": _points(errors, LEFT + PLOT + GAP, top)})
    return {
        "top": top,
        "bottom": top + ROW - 40,
        "name": change.replace("_", " "),
        "lines": wrap(words, 26),
        "curves": curves,
        "adopted": [
            f"{LEFT + run.adopted_after_days * PLOT / len(run.slots):.1f}"
            for run in runs
            if run.adopted_after_days is not None
        ],
    }


def _points(shares: Sequence[float], left: float, top: float) -> str:
    step, height = PLOT / len(shares), ROW - 40
    return " ".join(f"{left + (i + 0.5) * step:.1f},{top + height * (1 - s):.1f}" for i, s in enumerate(shares))
