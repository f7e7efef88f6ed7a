"""What a report shows, described once: tables, and figures of lines, points, bars and bands.

The page draws them with plotly, the images with matplotlib, which needs no browser.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

MOST_POINTS = 20_000  # of one trace; more than a page can hold

Numbers = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Trace:
    """One thing drawn.

    Attributes:
        name: In the legend.
        x, y: Shape (N,); NaN in `y` breaks a line. `x` may be instants (datetime64).
        kind: `band` fills between `y` and `upper`.
        upper: Only of a band, shape (N,).
        quiet: Drawn thin and pale, behind the others.
    """

    name: str
    x: Numbers
    y: Numbers
    kind: Literal["line", "points", "bars", "band", "step"] = "line"
    upper: Numbers | None = None
    quiet: bool = False


@dataclass(frozen=True, eq=False)
class Figure:
    """One figure.

    Attributes:
        key: Name of its image file and its anchor.
        title, x_title, y_title: Words; units belong to them.
        note: A sentence on how to read it.
        levels: Horizontal lines by name, such as a threshold.
        spans: Ranges of x that are shaded, such as labelled windows.
        span_name: What the shading means.
        log_y: Whether the y axis is logarithmic.
        x_range: First and last x shown, so that figures of one stretch of time lie below each other; None: as drawn.
    """

    key: str
    title: str
    x_title: str
    y_title: str
    traces: Sequence[Trace]
    note: str = ""
    levels: dict[str, float] = field(default_factory=dict)
    spans: Sequence[tuple[Any, Any]] = ()
    span_name: str = ""
    log_y: bool = False
    x_range: tuple[Any, Any] | None = None


@dataclass(frozen=True)
class Table:
    """A table; cells are text or numbers, None is shown as a dash.

    Attributes:
        words: So many columns from the left hold words, the others figures.
    """

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]
    note: str = ""
    words: int = 1


@dataclass(frozen=True, eq=False)
class Matrix:
    """A confusion matrix: counts by what is true (rows) and what was said (columns)."""

    key: str
    title: str
    labels: tuple[str, str]
    counts: Sequence[Sequence[int]]
    note: str = ""


@dataclass(frozen=True, eq=False)
class ReportSection:
    """A heading and what is under it, in order."""

    title: str
    parts: Sequence[Table | Figure | Matrix]
    text: str = ""


@dataclass(frozen=True, eq=False)
class Report:
    """A whole report.

    Attributes:
        title: One line.
        summary: A few sentences that say what was done and what came out.
        data: The same figures for programs; JSON types.
    """

    title: str
    summary: Sequence[str]
    sections: Sequence[ReportSection]
    data: dict[str, Any]

    def figures(self) -> list[Figure | Matrix]:
        """All that has an image."""
        return [part for section in self.sections for part in section.parts if not isinstance(part, Table)]


def within(spans: Sequence[tuple[float, float]], at: Numbers) -> list[tuple[float, float]]:
    """The spans that the instants `at`, rising and not empty, reach into, cut off where those begin and end."""
    first, last = float(at[0]), float(at[-1])
    return [(max(a, first), min(b, last)) for a, b in spans if b >= first and a <= last]


def instants(epoch_s: Numbers) -> Numbers:
    """Epoch seconds as instants an axis understands."""
    return np.asarray(epoch_s, np.int64).astype("datetime64[s]")


def thinned(trace: Trace) -> Trace:
    """A trace of at most `MOST_POINTS`: of each stretch its least and greatest y are kept, so no peak is lost."""
    n = len(trace.x)
    if n <= MOST_POINTS or trace.kind not in ("line", "band"):
        return trace
    stretch = -(-2 * n // MOST_POINTS)
    high = trace.y if trace.upper is None else trace.upper
    kept: set[int] = {0, n - 1}
    for start in range(0, n, stretch):
        kept.add(
            start
            + int(
                np.argmin(
                    np.where(np.isnan(trace.y[start : start + stretch]), np.inf, trace.y[start : start + stretch])
                )
            )
        )
        kept.add(
            start
            + int(np.argmax(np.where(np.isnan(high[start : start + stretch]), -np.inf, high[start : start + stretch])))
        )
    index = np.array(sorted(kept))
    upper = None if trace.upper is None else trace.upper[index]
    return Trace(trace.name, trace.x[index], trace.y[index], trace.kind, upper, trace.quiet)


def cell(value: Any) -> str:
    """A table's cell as text."""
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if abs(value) >= 100:
            return f"{value:,.1f}".removesuffix(".0")
        return f"{value:.4g}" if abs(value) < 1e-3 else f"{value:.4f}".rstrip("0").rstrip(".")
    return str(value)


def cells(table: Table) -> list[list[str]]:
    """A table's rows as text; the numbers of a column have one number of decimals, as many as one of them needs."""
    rows = [[cell(value) for value in row] for row in table.rows]
    for column in range(len(table.columns)):
        numbers = [
            i for i, row in enumerate(table.rows) if isinstance(row[column], float) and "e" not in rows[i][column]
        ]
        most = max((len(rows[i][column].partition(".")[2]) for i in numbers), default=0)
        for i in numbers:
            if rows[i][column] != "-":
                rows[i][column] = f"{table.rows[i][column]:,.{most}f}"
    return rows


def day(epoch_s: float) -> str:
    """An instant as a table shows it."""
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%d %H:%M")
