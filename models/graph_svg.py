"""A computational graph as SVG, from top to bottom, with a frame around each module."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from models.graph import GraphNode

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
_ARROW = (
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="6" markerHeight="6" orient="auto">'
    '<path d="M0 0L8 4L0 8z" fill="#44546a"/></marker></defs>'
)


class _Box(NamedTuple):
    x: float  # of its middle
    y: float  # of its top


class _Panel(NamedTuple):
    """A graph laid out: what to draw, how far it reaches, and where its output is."""

    parts: list[str]
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
    parts = [
        f'<text class="name" x="{_MARGIN}" y="24" font-weight="bold">{escape(title)}</text>',
        *(f'<text class="shape" x="{_MARGIN}" y="{38 + 13 * i}">{line}</text>' for i, line in enumerate(_LEGEND)),
        *(part for panel in panels for part in panel.parts),
    ]
    if len(panels) > 1:
        parts += _mean_of(panels, bottom)
        bottom += _DOWN + _HIGH
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right:.0f} {bottom:.0f}" width="{right:.0f}" '
        f'height="{bottom:.0f}" role="img"><title>{escape(title)}</title><style>{_STYLE}</style>{_ARROW}\n{body}\n'
        "</svg>\n"
    )


def _panel(name: str, nodes: list[GraphNode], left: float) -> _Panel:
    """One graph, `left` from the left edge."""
    ranks = _ranks(nodes)
    boxes = [_Box(box.x + left, box.y + _HEAD) for box in _places(nodes, ranks)]
    parts = [f'<text class="name" x="{left + _MARGIN}" y="{_MARGIN + 6}">{escape(name)}</text>'] if name else []
    frames = _frames(nodes, boxes)
    parts += [box for box, _ in frames]
    parts += [_edge(boxes, ranks, source, i) for i, node in enumerate(nodes) for source in _drawn(nodes, node)]
    parts += [_node(nodes, node, box) for node, box in zip(nodes, boxes, strict=True)]
    parts += [text for _, text in frames]
    right = max(box.x for box in boxes) + _WIDE / 2 + _MARGIN + _LANE * _LANES
    bottom = max(box.y for box in boxes) + _HIGH + _MARGIN
    return _Panel(parts, right, bottom, boxes[-1])


def _mean_of(panels: list[_Panel], top: float) -> list[str]:
    """A box below all panels, with an edge from each one's output."""
    box = _Box(_mean([panel.output.x for panel in panels], 0.0), top)
    made = GraphNode("weighted mean of the scores", "", (), "output", "", ())
    edges = []
    for panel in panels:
        start, half = panel.output.y + _HIGH, top - _DOWN / 2
        path = f"M{panel.output.x:.1f} {start:.1f}V{half:.1f}H{box.x:.1f}V{top:.1f}"
        edges.append(f'<path class="edge" d="{path}"/>')
    return [*edges, _node([], made, box)]


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


def _places(nodes: list[GraphNode], ranks: list[int]) -> list[_Box]:
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
        for place, i in enumerate(ordered):
            x[i] = start + place * _ACROSS
    return [_Box(x[i], _MARGIN + ranks[i] * _DOWN) for i in range(len(nodes))]


def _mean(values: list[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _edge(boxes: list[_Box], ranks: list[int], source: int, target: int) -> str:
    """To the row below a curve; further down a line that passes all boxes on their right."""
    a, b = boxes[source], boxes[target]
    if ranks[target] - ranks[source] == 1:
        y, half = a.y + _HIGH, (b.y - a.y - _HIGH) / 2
        curve = f"M{a.x:.1f} {y:.1f}C{a.x:.1f} {y + half:.1f} {b.x:.1f} {y + half:.1f} {b.x:.1f} {b.y:.1f}"
        return f'<path class="edge" d="{curve}"/>'
    between = [box.x for box, rank in zip(boxes, ranks, strict=True) if ranks[source] <= rank <= ranks[target]]
    lane = max(between) + _WIDE / 2 + 12 + _LANE * (target % _LANES)
    start, end = a.y + _HIGH / 2, b.y + _HIGH / 2
    return f'<path class="edge" d="M{a.x + _WIDE / 2:.1f} {start:.1f}H{lane:.1f}V{end:.1f}H{b.x + _WIDE / 2:.1f}"/>'


def _node(nodes: list[GraphNode], node: GraphNode, box: _Box) -> str:
    left = box.x - _WIDE / 2
    name = f"{node.label}  {node.detail}" if node.detail else node.label
    shape = f"({', '.join(map(str, node.shape))})" if node.shape else ""
    masked = "." in node.module and any(_is_mask(nodes[i]) for i in node.inputs)
    tag = (
        f'<text class="tag" x="{left - 4:.1f}" y="{box.y + 22:.1f}" text-anchor="end">observed</text>' if masked else ""
    )
    return (
        f'<rect class="box" x="{left:.1f}" y="{box.y:.1f}" width="{_WIDE:g}" height="{_HIGH:g}" rx="5" '
        f'fill="{_COLOURS[node.kind]}"/>'
        f'<text class="name" x="{box.x:.1f}" y="{box.y + 15:.1f}" text-anchor="middle">{escape(name)}</text>'
        f'<text class="shape" x="{box.x:.1f}" y="{box.y + 29:.1f}" text-anchor="middle">{shape}</text>{tag}'
    )


def _frames(nodes: list[GraphNode], boxes: list[_Box]) -> list[tuple[str, str]]:
    """A frame and its name: around the boxes of each layer, and one around each part of it that has several."""
    members: dict[str, list[_Box]] = defaultdict(list)
    for node, box in zip(nodes, boxes, strict=True):
        parts = node.module.split(".")
        for path in dict.fromkeys((".".join(parts[:2]), node.module)):
            members[path].append(box)
    return [_frame(path, inside) for path, inside in sorted(members.items()) if path and len(inside) > 1]


def _frame(path: str, inside: list[_Box]) -> tuple[str, str]:
    """Its name is above it, on the left for a layer and on the right for a part of one."""
    part = path.count(".") > 1
    out = 4 if part else 10
    left, right = min(b.x for b in inside) - _WIDE / 2 - out, max(b.x for b in inside) + _WIDE / 2 + out
    top, bottom = min(b.y for b in inside) - out, max(b.y for b in inside) + _HIGH + out
    place = f'x="{right - 2:.1f}" text-anchor="end"' if part else f'x="{left + 2:.1f}"'
    return (
        f'<rect class="frame" x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" '
        f'height="{bottom - top:.1f}" rx="8"/>',
        f'<text class="frame-name" y="{top - 2 - (6 if part else 0):.1f}" {place}>{escape(path)}</text>',
    )
