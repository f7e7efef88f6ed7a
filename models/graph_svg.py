"""A computational graph as SVG, from top to bottom, with a frame around each module."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from models.graph import GraphNode
from models.markup import render

_WIDE, _HIGH, _ACROSS, _DOWN = 170.0, 36.0, 200.0, 62.0  # a box, and from one to the next
_HEAD = 24.0  # for the legend and the name of a member
_MARGIN, _LANE, _LANES = 60.0, 9.0, 5  # around all; edges that pass by boxes share so many lanes
_COLOURS = {"input": "#e3f4ea", "layer": "#dbe9fb", "operation": "#f3f4f6", "output": "#fdf1d8"}
_STYLE = """svg{background:#fff;font-family:system-ui,sans-serif}
.box{stroke:#44546a;stroke-width:1}.name{font-size:12px;fill:#111}.shape{font-size:10px;fill:#5a6675}
.edge{fill:none;stroke:#44546a;stroke-width:1.2;marker-end:url(#arrow)}
.frame{fill:none;stroke:#0b5cad;stroke-dasharray:4 3}
.frame-name{font-size:11px;fill:#0b5cad;paint-order:stroke;stroke:#fff;stroke-width:4px}.tag{font-size:10px;fill:#1a7f4b}"""
_LEGEND = (
    "green: given; blue: has parameters,",
    "with the numbers in and out;",
    "below each name the shape of its result",
)


class _Box(NamedTuple):
    x: float  # of its middle
    y: float  # of its top


class _Panel(NamedTuple):
    """A graph laid out: what to draw, how far it reaches, and where its output is."""

    drawn: dict[str, Any]
    right: float
    bottom: float
    output: _Box


def draw(graphs: Sequence[tuple[str, list[GraphNode]]], title: str) -> str:
    """One SVG document of a network's graph, or of several members' side by side that meet in their weighted mean.

    Masks reach into every layer: inside one, what comes from them is written beside a box and not drawn as an edge.

    Args:
        graphs: Of each member its name and its nodes; of a network that stands alone the name is empty.
        title: Stands above all.
    """
    panels: list[_Panel] = []
    for name, nodes in graphs:
        panels.append(_panel(name, nodes, panels[-1].right if panels else 0.0))
    right, bottom = panels[-1].right, max(panel.bottom for panel in panels)
    drawn = [panel.drawn for panel in panels]
    if len(panels) > 1:
        drawn.append(_mean_of(panels, bottom))
        bottom += _DOWN + _HIGH
    return render(
        "models",
        "graph.svg",
        title=title,
        style=Markup(_STYLE),
        legend=_LEGEND,
        margin=_MARGIN,
        wide=_WIDE,
        high=_HIGH,
        right=round(right),
        bottom=round(bottom),
        panels=drawn,
    )


def _panel(name: str, nodes: list[GraphNode], left: float) -> _Panel:
    """One graph, `left` from the left edge."""
    ranks = _ranks(nodes)
    boxes = [_Box(box.x + left, box.y + _HEAD) for box in _boxes(nodes, ranks)]
    drawn = {
        "name": name,
        "left": left + _MARGIN,
        "frames": _frames(nodes, boxes),
        "edges": [_edge(boxes, ranks, source, i) for i, node in enumerate(nodes) for source in _drawn(nodes, node)],
        "boxes": [_node(nodes, node, box) for node, box in zip(nodes, boxes, strict=True)],
    }
    right = max(box.x for box in boxes) + _WIDE / 2 + _MARGIN + _LANE * _LANES
    bottom = max(box.y for box in boxes) + _HIGH + _MARGIN
    return _Panel(drawn, right, bottom, boxes[-1])


def _mean_of(panels: list[_Panel], top: float) -> dict[str, Any]:
    """A box below all panels, with an edge from each one's output."""
    box = _Box(_mean([panel.output.x for panel in panels], 0.0), top)
    made = GraphNode("weighted mean of the scores", "", (), "output", "", ())
    edges = [
        f"M{panel.output.x:.1f} {panel.output.y + _HIGH:.1f}V{top - _DOWN / 2:.1f}H{box.x:.1f}V{top:.1f}"
        for panel in panels
    ]
    return {"name": "", "left": 0.0, "frames": [], "edges": edges, "boxes": [_node([], made, box)]}


def _is_mask(node: GraphNode) -> bool:
    return node.label in ("observed", "and")


def _drawn(nodes: list[GraphNode], node: GraphNode) -> list[int]:
    """Inputs of a node that get an edge."""
    return [i for i in node.inputs if not (_is_mask(nodes[i]) and "." in node.module)]


def _ranks(nodes: list[GraphNode]) -> list[int]:
    """Row of each node: below the lowest that feeds it and below the layer before; an input is above its first use."""
    ranks: list[int] = []
    above, layer = -1, ""
    for node in nodes:
        own = ".".join(node.module.split(".")[:2])
        if own != layer:
            above, layer = max(ranks, default=-1), own
        least = above + 1 if node.kind != "input" else 0
        ranks.append(max(least, 1 + max((ranks[i] for i in node.inputs), default=-1)))
    for i, node in enumerate(nodes):
        if node.kind == "input":
            used = [ranks[j] for j, other in enumerate(nodes) if i in _drawn(nodes, other)]
            ranks[i] = max(min(used, default=1) - 1, 0)
    return ranks


def _boxes(nodes: list[GraphNode], ranks: list[int]) -> list[_Box]:
    """Middle and top of each box: below the middle of those that feed it, side by side where they share a row."""
    rows: dict[int, list[int]] = defaultdict(list)
    for i, rank in enumerate(ranks):
        rows[rank].append(i)
    widest = max(len(row) for row in rows.values())
    middle = _MARGIN + widest * _ACROSS / 2
    x = [middle] * len(nodes)
    for _, row in sorted(rows.items()):
        wanted = {i: _mean([x[j] for j in _drawn(nodes, nodes[i])], middle) for i in row}
        ordered = sorted(row, key=lambda i: (wanted[i], i))
        start = _mean(list(wanted.values()), middle) - (len(row) - 1) * _ACROSS / 2
        start = min(max(start, _MARGIN + _WIDE / 2), 2 * middle - _MARGIN - (len(row) - 1) * _ACROSS - _WIDE / 2)
        for index, i in enumerate(ordered):
            x[i] = start + index * _ACROSS
    return [_Box(x[i], _MARGIN + ranks[i] * _DOWN) for i in range(len(nodes))]


def _mean(values: list[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _edge(boxes: list[_Box], ranks: list[int], source: int, target: int) -> str:
    """To the row below a curve; further down a line that passes all boxes on their right."""
    a, b = boxes[source], boxes[target]
    if ranks[target] - ranks[source] == 1:
        y, half = a.y + _HIGH, (b.y - a.y - _HIGH) / 2
        return f"M{a.x:.1f} {y:.1f}C{a.x:.1f} {y + half:.1f} {b.x:.1f} {y + half:.1f} {b.x:.1f} {b.y:.1f}"
    between = [box.x for box, rank in zip(boxes, ranks, strict=True) if ranks[source] <= rank <= ranks[target]]
    lane = max(between) + _WIDE / 2 + 12 + _LANE * (target % _LANES)
    start, end = a.y + _HIGH / 2, b.y + _HIGH / 2
    return f"M{a.x + _WIDE / 2:.1f} {start:.1f}H{lane:.1f}V{end:.1f}H{b.x + _WIDE / 2:.1f}"


def _node(nodes: list[GraphNode], node: GraphNode, box: _Box) -> dict[str, Any]:
    return {
        "left": round(box.x - _WIDE / 2, 1),
        "middle": round(box.x, 1),
        "top": round(box.y, 1),
        "colour": _COLOURS[node.kind],
        "name": f"{node.label}  {node.detail}" if node.detail else node.label,
        "shape": f"({', '.join(map(str, node.shape))})" if node.shape else "",
        "masked": "." in node.module and any(_is_mask(nodes[i]) for i in node.inputs),
    }


def _frames(nodes: list[GraphNode], boxes: list[_Box]) -> list[dict[str, Any]]:
    """A frame around the boxes of each layer, and one around each part of it that has several."""
    members: dict[str, list[_Box]] = defaultdict(list)
    for node, box in zip(nodes, boxes, strict=True):
        parts = node.module.split(".")
        for path in dict.fromkeys((".".join(parts[:2]), node.module)):
            members[path].append(box)
    return [_frame(path, inside) for path, inside in sorted(members.items()) if path and len(inside) > 1]


def _frame(path: str, inside: list[_Box]) -> dict[str, Any]:
    """Its name is above it, on the left for a layer and on the right for a part of one."""
    part = path.count(".") > 1
    out = 4 if part else 10
    left, right = min(b.x for b in inside) - _WIDE / 2 - out, max(b.x for b in inside) + _WIDE / 2 + out
    top, bottom = min(b.y for b in inside) - out, max(b.y for b in inside) + _HIGH + out
    return {
        "path": path,
        "left": round(left, 1),
        "top": round(top, 1),
        "width": round(right - left, 1),
        "height": round(bottom - top, 1),
        "name_at": round(right - 2 if part else left + 2, 1),
        "name_above": round(top - 2 - (6 if part else 0), 1),
        "anchor": "end" if part else "start",
    }
