"""What a network consists of, in numbers: its layers with their outputs and parameters."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torchinfo
from torch import nn

from models.architecture_names import LABELLED
from models.architectures import ARCHITECTURES, build
from models.bundle_file import read_bundle
from models.ensemble import Ensemble
from models.graph import layer_words
from models.network import Network
from models.network_config import CALENDAR, NetworkConfig
from models.own_manifest import is_of, sha256_of

_WIDTH = {"manufacturing": 1000}  # of the reference; one variable elsewhere
_WINDOW = 32
_LABELLED_WINDOW = 250


@dataclass(frozen=True, slots=True)
class LayerShown:
    """A module: name, depth, what it is, its output's shape for one window, and its parameters with those inside it.

    A layer with parameters says the numbers in and out and the ReLU after them; what only holds others has no output.
    """

    name: str
    depth: int
    kind: str
    output: list[int]
    parameters: int


@dataclass(frozen=True, slots=True)
class NetworkShown:
    """A network; `parameters` are those of all copies, `members` the networks that an ensemble is made of, else 0."""

    architecture: str
    window: int
    width: int
    copies: int
    members: int
    parameters: int
    layers: list[LayerShown]

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)


def network_of(name: str) -> tuple[str, Network]:
    """The architecture's name, and the network: one copy at the reference's shapes, or the one in a bundle's file.

    Raises:
        ValueError: It is neither an architecture nor a bundle.
        OSError: The file cannot be read.
    """
    if name in ARCHITECTURES:
        window = _LABELLED_WINDOW if name in LABELLED else _WINDOW
        return name, build(name, NetworkConfig(window=window, width=_WIDTH.get(name, 1), copies=1))
    path = Path(name)
    if not path.exists():
        raise ValueError(f"{name} is neither an architecture nor a file; architectures are {', '.join(ARCHITECTURES)}")
    bundle = read_bundle(path)
    if is_of(bundle.manifest):
        raise ValueError(
            f"{name} stands for your own model with SHA-256 {sha256_of(bundle.manifest)}, and holds no more"
        )
    network = build(bundle.manifest.architecture, bundle.manifest.network)
    network.load_state_dict({key: torch.from_numpy(weight) for key, weight in bundle.weights.items()})
    return bundle.manifest.architecture, network


def shown(architecture: str, network: Network) -> NetworkShown:
    """The layers of a network, outer ones first, and how many parameters it has."""
    inputs = (
        torch.zeros(1, network.window, network.width),
        torch.ones(1, network.window, dtype=torch.bool),
        torch.zeros(1, CALENDAR),
    )
    found = torchinfo.summary(network.eval(), input_data=inputs, verbose=0, depth=9)
    names = network.names if isinstance(network, Ensemble) else []
    ends = {last: each.ends for each in network.modules() if isinstance(each, Network) for last in _last(each)}
    layers = [
        LayerShown(
            _name(each.var_name, each.depth, names),
            each.depth - 1,
            kind_of(each.module) + (f", {ends[each.module]}" if ends.get(each.module) else ""),
            list(each.output_size),
            _count(each.module),
        )
        for each in found.summary_list
        if each.depth > 0 and each.var_name != "dropout" and not each.is_recursive
    ]
    return NetworkShown(
        architecture, network.window, network.width, network.copies, len(names), _count(network), layers
    )


def _name(name: str, depth: int, members: list[str]) -> str:
    """A module's name; a member of an ensemble, two levels down, has one of its own in place of its number."""
    return members[int(name)] if depth == 2 and members and name.isdigit() else name


def kind_of(module: nn.Module) -> str:
    """`Linear 5 → 64, ReLU` of a layer, the class of anything else."""
    words = layer_words(module)
    return type(module).__name__ if words is None else f"{words.kind} {words.weights}{words.after}"


def _last(network: Network) -> list[nn.Module]:
    """The last layer with parameters, as a list of one."""
    return [module for module in network.modules() if layer_words(module) is not None][-1:]


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
