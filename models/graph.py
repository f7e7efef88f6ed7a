"""The computational graph of a network: which operation feeds which, with the shapes of one window.

What only moves numbers about (views, transposes, slices) is left out; an edge goes through it.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from models.autoencoders import StackedLinear
from models.context import Context
from models.ensemble import Ensemble
from models.network import Network, SlotCalendar
from models.network_config import CALENDAR
from models.tasks import TransformerClassifier

_LAYERS = (StackedLinear, nn.Linear, nn.LSTM, nn.Embedding, nn.LayerNorm)
_WHOLE: dict[type[nn.Module], str] = {
    SlotCalendar: "calendar of each slot",
    Context: "thirteen columns of each, seven days before it",
}
"""Drawn as one box, though they are many operations."""
_FUNCTIONS: dict[Any, str] = {
    operator.add: "+",
    torch.add: "+",
    operator.sub: "-",
    operator.mul: "×",
    operator.truediv: "÷",
    operator.matmul: "matrix product",
    operator.and_: "and",
    torch.relu: "ReLU",
    torch.cat: "concatenate",
}
_ARITHMETIC = (operator.add, torch.add, operator.sub, operator.mul, operator.truediv)
_METHODS = {
    "softmax": "softmax",
    "sigmoid": "sigmoid",
    "masked_fill": "mask",
    "sum": "sum",
    "amax": "max",
    "relu": "ReLU",
}


@dataclass(frozen=True, slots=True)
class GraphNode:
    """An operation.

    Attributes:
        label: What it does.
        detail: Its parameters' shape, empty without any.
        shape: Of its result, one window at a time.
        kind: `input`, `layer` (it has parameters), `operation` or `output`.
        module: Path of the module it is in, such as `encoder.0.attention`; empty at the top.
        inputs: Indices of the nodes that feed it.
    """

    label: str
    detail: str
    shape: tuple[int, ...]
    kind: str
    module: str
    inputs: tuple[int, ...]


class _Core(nn.Module):
    """What is worth drawing of a network: from its inputs to the reconstruction or to the classes' scores."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.classifies = isinstance(network, TransformerClassifier)

    def forward(self, x: Tensor, observed: Tensor, calendar: Tensor) -> Tensor:
        """As Network.forward; the result is the network's own."""
        network: Any = self.network
        out: Tensor
        if self.classifies:
            out = network.logits(x, observed, calendar)  # (K, B, N)
        else:
            out = network.reconstruct(x.unsqueeze(0), observed.unsqueeze(0), calendar.unsqueeze(0))  # (K, B, S, C)
        return out


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, (*_LAYERS, *_WHOLE, nn.Dropout, nn.Identity))

    def to_bool(self, obj: fx.Proxy) -> bool:
        """What is skipped where no slot is missing is drawn."""
        return False


def graph(network: Network) -> list[GraphNode]:
    """The graph of a network that is no ensemble, inputs first, each node after those that feed it."""
    core = _Core(network.eval())
    traced = fx.GraphModule(core, _Tracer().trace(core))
    inputs = (
        torch.zeros(1, network.window, network.width),
        torch.ones(1, network.window, dtype=torch.bool),
        torch.zeros(1, CALENDAR),
    )
    with torch.no_grad():
        ShapeProp(traced).propagate(*inputs)
    modules = dict(traced.named_modules())
    nodes: list[GraphNode] = []
    drawn: dict[fx.Node, tuple[int, ...]] = {}  # of each traced node: the drawn ones it stands for
    for node in traced.graph.nodes:
        if node.op != "output" and "tensor_meta" not in node.meta:  # a size, a device, a mask that is not there
            drawn[node] = ()
            continue
        if 0 in _shape(node):  # a slice of nothing, as the other variables are where there is one
            drawn[node] = ()
            continue
        feeds = tuple(dict.fromkeys(i for each in node.all_input_nodes for i in drawn[each]))
        made = _node(node, modules, feeds)
        if made is None or (made.kind == "operation" and _idle(made, nodes)):
            drawn[node] = feeds
        else:
            drawn[node] = (len(nodes),)
            nodes.append(made)
    return _needed(nodes)


def graphs(network: Network) -> list[tuple[str, list[GraphNode]]]:
    """The graph of a network without a name, or those of an ensemble's members with their names and weights."""
    if not isinstance(network, Ensemble):
        return [("", graph(network))]
    found = []
    for name, weight, member in zip(network.names, network.weights.tolist(), network.members, strict=True):
        assert isinstance(member, Network)
        found.append((f"{name}, weight {weight:.3g}, newest {member.window} slots", graph(member)))
    return found


def _idle(made: GraphNode, nodes: list[GraphNode]) -> bool:
    """Whether an operation is on constants only, or joins nothing to what it is given."""
    joins = made.label == "concatenate" and made.inputs and nodes[made.inputs[0]].shape == made.shape
    return not made.inputs or bool(joins)


def _node(node: fx.Node, modules: dict[str, nn.Module], feeds: tuple[int, ...]) -> GraphNode | None:
    """The node to draw, None for one that only moves numbers about or is constant."""
    shape, inside = _shape(node), _inside(node)
    if node.op == "placeholder":
        return GraphNode(node.name, "", shape, "input", "", ())
    if node.op == "output":
        return GraphNode("output", "", shape, "output", "", feeds)
    if node.op == "call_module":
        made = _layer(node, modules[str(node.target)])
        return None if made is None else GraphNode(*made, shape, "layer" if made[1] else "operation", inside, feeds)
    name = _FUNCTIONS.get(node.target) if node.op == "call_function" else _METHODS.get(str(node.target))
    if name is None:
        return None
    return GraphNode(f"{name}{_constant(node)}", "", shape, "operation", inside, feeds)


def _constant(node: fx.Node) -> str:
    """What an operation has for its second operand when that is no result of another: a number or a table."""
    other = node.args[1] if node.target in _ARITHMETIC and len(node.args) > 1 else None
    if isinstance(other, (int, float)):
        return f" {other:g}"
    if isinstance(other, fx.Node) and other.op == "get_attr":
        path = str(other.target).removesuffix(".table")
        return f" {path.rpartition('.')[2]}"
    return " √d" if isinstance(other, fx.Node) and getattr(other.target, "__name__", "") == "sqrt" else ""


def _shape(node: fx.Node) -> tuple[int, ...]:
    """Shape of a node's result, of the first of several."""
    found: Any = node.meta.get("tensor_meta")
    while isinstance(found, tuple) and not hasattr(found, "shape"):
        found = found[0] if found else None
    return tuple(getattr(found, "shape", ()))


def _inside(node: fx.Node) -> str:
    """Path of the module in which the operation stands, without the wrapper's and the ensemble's own."""
    stack = list(node.meta.get("nn_module_stack", {}).values())
    path = str(stack[-1][0]) if stack else ""
    if node.op == "call_module":
        path = str(node.target).rpartition(".")[0]
    parts = path.split(".")
    return ".".join(parts[1:]).removeprefix("members.0").lstrip(".") if parts[0] == "network" else ""


def _layer(node: fx.Node, module: nn.Module) -> tuple[str, str] | None:
    """What a module does and the shape of its parameters; None for one that does nothing when it serves."""
    if type(module) in _WHOLE:
        return _WHOLE[type(module)], ""
    words = layer_words(module)
    if words is None:
        return None
    own = str(node.target).rpartition(".")[2]
    return f"{words.kind}{'' if own.isdigit() else f' {own}'}{words.after}", words.weights


class LayerWords(NamedTuple):
    """A layer in words: `Linear`, `5 → 64`, `, ReLU` or nothing."""

    kind: str
    weights: str
    after: str


def layer_words(module: nn.Module) -> LayerWords | None:
    """A layer that has parameters of its own; None for any other module."""
    if not isinstance(module, _LAYERS):
        return None
    kind = "Linear" if isinstance(module, (StackedLinear, nn.Linear)) else type(module).__name__
    relu = ", ReLU" if isinstance(module, StackedLinear) and module.relu else ""
    return LayerWords(kind, _weights(module), relu)


def _weights(module: nn.Module) -> str:
    """Numbers in and out of a layer."""
    if isinstance(module, StackedLinear):
        return f"{module.weight.shape[1]} → {module.weight.shape[2]}"
    if isinstance(module, nn.Linear):
        return f"{module.in_features} → {module.out_features}"
    if isinstance(module, nn.LSTM):
        return f"{module.input_size} → {module.hidden_size}"
    return " × ".join(str(n) for n in next(module.parameters()).shape)


def _needed(nodes: list[GraphNode]) -> list[GraphNode]:
    """Only what the output depends on, and all inputs."""
    wanted = {len(nodes) - 1}
    for i in range(len(nodes) - 1, -1, -1):
        if i in wanted:
            wanted.update(nodes[i].inputs)
    wanted.update(i for i, node in enumerate(nodes) if node.kind == "input" and i in wanted)
    order = sorted(wanted)
    at = {old: new for new, old in enumerate(order)}
    return [
        GraphNode(n.label, n.detail, n.shape, n.kind, n.module, tuple(at[i] for i in n.inputs))
        for n in (nodes[i] for i in order)
    ]
