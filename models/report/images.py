"""A report's figures as PNG images, drawn by matplotlib: no browser is needed, unlike with plotly's own export."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from models.report.figures import Figure, Matrix, Trace, thinned
from models.report.report_page import COLOURS, PALE

_SIZE, _DPI = (11.0, 4.6), 110


def image(figure: Figure | Matrix) -> bytes:
    """A PNG file of 1210 by 506 pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=_SIZE, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(canvas)
    axes = canvas.add_subplot()
    axes.set_title(figure.title, loc="left", fontsize=11)
    if isinstance(figure, Matrix):
        _draw_matrix(axes, figure)
    else:
        _draw(axes, figure)
    file = io.BytesIO()
    canvas.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _draw(axes: Any, figure: Figure) -> None:
    colour = 0
    for each in figure.traces:
        _draw_trace(axes, thinned(each), COLOURS[colour % len(COLOURS)])
        colour += not each.quiet and each.kind != "band"
    for i, (start, end) in enumerate(figure.spans):
        axes.axvspan(start, end, color="#d1495b", alpha=0.15, lw=0, label=figure.span_name if i == 0 else None)
    for name, level in figure.levels.items():
        axes.axhline(level, color="#d1495b", ls="--", lw=1.2, label=name)
    axes.set_xlabel(figure.x_title)
    axes.set_ylabel(figure.y_title)
    if figure.x_range is not None:
        axes.set_xlim(*figure.x_range)
    if figure.log_y:
        axes.set_yscale("log")
    axes.grid(color="#e6ebef")
    axes.set_axisbelow(True)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)


def _draw_trace(axes: Any, trace: Trace, colour: str) -> None:
    x, y = np.asarray(trace.x), np.asarray(trace.y)
    if trace.kind == "bars":
        width = np.min(np.diff(x)).item() if len(x) > 1 else 1.0  # a number, or a timedelta where x are instants
        axes.bar(x, y, width=width, color=colour, alpha=0.6, label=trace.name)
    elif trace.kind == "points":
        axes.plot(x, y, ".", color=PALE if trace.quiet else colour, ms=3 if trace.quiet else 6, label=trace.name)
    elif trace.kind == "band":
        axes.fill_between(
            x, y, y if trace.upper is None else trace.upper, color="#1f5fa8", alpha=0.18, lw=0, label=trace.name
        )
    else:
        style = "steps-post" if trace.kind == "step" else "default"
        axes.plot(
            x,
            y,
            color=PALE if trace.quiet else colour,
            lw=0.7 if trace.quiet else 1.1,
            drawstyle=style,
            label=trace.name,
        )


def _draw_matrix(axes: Any, matrix: Matrix) -> None:
    counts = np.array(matrix.counts, float)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), count in np.ndenumerate(counts):
        text = f"{int(count):,}\n{100 * share[row, column]:.1f} %"
        axes.text(column, row, text, ha="center", va="center", color="white" if share[row, column] > 0.6 else "black")
    axes.set_xticks([0, 1], matrix.labels)
    axes.set_yticks([0, 1], matrix.labels)
    axes.set_xlabel("said")
    axes.set_ylabel("true")
