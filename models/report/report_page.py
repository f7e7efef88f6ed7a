"""A report as one HTML file that needs nothing else: plotly's script is inside."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
from markupsafe import Markup

from models.markup import render
from models.report.figures import Figure, Matrix, Report, Table, Trace, cells, thinned

COLOURS = ("#1f5fa8", "#d1495b", "#2e8b57", "#e09f3e", "#6a4c93", "#00838f", "#8d6e63", "#546e7a")
BAND = "rgba(31, 95, 168, 0.18)"
SPAN = "rgba(209, 73, 91, 0.15)"
PALE = "#b0b7bf"

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2733; max-width: 1200px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .3rem; } h2 { font-size: 1.2rem; margin: 2.2rem 0 .4rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .2rem; }
nav a { margin-right: 1rem; } a { color: #1f5fa8; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .4rem 0; }
th, td { padding: .25rem .5rem; border-bottom: 1px solid #dde3e8; text-align: right; white-space: nowrap; }
.w { text-align: left; } th { border-bottom: 2px solid #9aa7b2; }
.note { color: #52616e; margin: .1rem 0 .5rem; } .plot { height: 420px; }
"""


def page(report: Report) -> str:
    """The whole file."""
    from plotly.offline import get_plotlyjs

    sections = [
        {
            "title": section.title,
            "text": section.text,
            "parts": [_part(part, f"f{index}-{i}") for i, part in enumerate(section.parts)],
        }
        for index, section in enumerate(report.sections)
    ]
    style, plotly = Markup(_STYLE), Markup(get_plotlyjs())
    return render("models.report", "report.html", report=report, sections=sections, style=style, plotly=plotly)


def _part(part: Table | Figure | Matrix, anchor: str) -> dict[str, Any]:
    """What the template shows of a part: a table's cells, or a drawing as JSON for plotly."""
    head = {"title": part.title, "note": part.note}
    if isinstance(part, Table):
        return head | {"columns": part.columns, "words": part.words, "rows": cells(part)}
    drawn = _matrix(part) if isinstance(part, Matrix) else _figure(part)
    data = orjson.dumps(drawn, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS).decode()
    # inside a script element only an end tag could end it, and a comment hide it
    return head | {"anchor": anchor, "data": Markup(data.replace("<", "\\u003c"))}


def _axis(title: str, **more: Any) -> dict[str, Any]:
    return {"title": {"text": title}, "gridcolor": "#e6ebef", "zeroline": False, "automargin": True, **more}


def _layout(x_title: str, y_title: str, log_y: bool) -> dict[str, Any]:
    return {
        "margin": {"l": 60, "r": 20, "t": 20, "b": 50},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        "xaxis": _axis(x_title),
        "yaxis": _axis(y_title, type="log" if log_y else "linear"),
    }


def _figure(figure: Figure) -> dict[str, Any]:
    """A figure as plotly's JSON."""
    traces, colour = [], 0
    for each in figure.traces:
        traces += _trace(thinned(each), COLOURS[colour % len(COLOURS)])
        colour += not each.quiet and each.kind != "band"
    layout = _layout(figure.x_title, figure.y_title, figure.log_y)
    layout["barmode"] = "overlay"
    if figure.x_range is not None:
        layout["xaxis"]["range"] = [_plain(end) for end in figure.x_range]
    layout["shapes"] = [
        {"type": "rect", "xref": "x", "yref": "paper", "x0": _plain(a), "x1": _plain(b), "y0": 0, "y1": 1,
         "fillcolor": SPAN, "line": {"width": 0}, "layer": "below"}
        for a, b in figure.spans
    ]  # fmt: skip
    if figure.spans and figure.span_name:
        traces.append(
            {"type": "scatter", "x": [None], "y": [None], "mode": "markers", "name": figure.span_name,
             "marker": {"symbol": "square", "size": 12, "color": SPAN}}
        )  # fmt: skip
    for name, level in figure.levels.items():
        layout["shapes"].append(
            {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": level, "y1": level,
             "line": {"color": "#d1495b", "dash": "dash", "width": 1.5}}
        )  # fmt: skip
        layout.setdefault("annotations", []).append(
            {"xref": "paper", "x": 1, "y": float(np.log10(level)) if figure.log_y else level, "text": name,
             "showarrow": False, "xanchor": "right", "yanchor": "bottom", "font": {"color": "#d1495b"}}
        )  # fmt: skip
    return {"data": traces, "layout": layout}


def _trace(trace: Trace, colour: str) -> list[dict[str, Any]]:
    x = _plain(trace.x)
    common = {"x": x, "name": trace.name}
    if trace.kind == "bars":
        return [{"type": "bar", **common, "y": _plain(trace.y), "marker": {"color": colour}, "opacity": 0.6}]
    if trace.kind == "points":
        marker: dict[str, Any] = {"color": PALE if trace.quiet else colour, "size": 4 if trace.quiet else 7}
        return [{"type": "scatter", **common, "y": _plain(trace.y), "mode": "markers", "marker": marker}]
    if trace.kind == "band":
        upper = trace.y if trace.upper is None else trace.upper
        base = {
            "type": "scatter",
            "mode": "lines",
            "line": {"width": 0},
            "hoverinfo": "skip",
            "legendgroup": trace.name,
        }
        low = {**base, "x": x, "y": _plain(trace.y), "showlegend": False}
        return [low, {**base, **common, "y": _plain(upper), "fill": "tonexty", "fillcolor": BAND}]
    shape = "hv" if trace.kind == "step" else "linear"
    line: dict[str, Any] = {
        "color": PALE if trace.quiet else colour,
        "width": 1 if trace.quiet else 1.6,
        "shape": shape,
    }
    return [{"type": "scatter", **common, "y": _plain(trace.y), "mode": "lines", "line": line}]


def _plain(values: Any) -> Any:
    """JSON types: instants as text, NaN as null, floats to seven digits."""
    array = np.asarray(values)
    if array.dtype.kind == "M":
        text = np.datetime_as_string(array, unit="s")
        return text.tolist() if array.ndim else str(text)
    if array.dtype.kind == "f":
        return (
            [None if not np.isfinite(v) else float(f"{v:.7g}") for v in array.tolist()] if array.ndim else float(array)
        )
    return array.tolist()


def _matrix(matrix: Matrix) -> dict[str, Any]:
    counts = [list(row) for row in matrix.counts]
    layout = _layout("said", "true", False) | {"height": 380}
    layout["yaxis"] |= {"autorange": "reversed", "type": "category"}
    share = [[n / max(1, sum(row)) for n in row] for row in counts]
    text = [
        [f"{n:,}<br>{100 * s:.1f} %" for n, s in zip(a, b, strict=True)] for a, b in zip(counts, share, strict=True)
    ]
    heat = {
        "type": "heatmap",
        "x": matrix.labels,
        "y": matrix.labels,
        "z": share,
        "zmin": 0,
        "zmax": 1,
        "text": text,
        "texttemplate": "%{text}",
        "colorscale": [[0, "#ffffff"], [1, "#5b8fc7"]],  # plotly's own Blues are darkest at 0
        "colorbar": {"title": {"text": "share of row"}},
    }
    return {"data": [heat], "layout": layout}
