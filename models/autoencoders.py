"""Autoencoders of linear layers, several copies evaluated as one batched product.

Shapes: B windows, W slots, F variables, K copies, C columns of a reading (its F values, perhaps with its calendar).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.network import Network, unused_outputs
from models.network_config import CALENDAR, NetworkConfig

_HIDDEN = (64, 32, 2, 32, 64)
_BOTTLENECK = 2  # index of the layer that ends in the bottleneck
_MASKED_WEIGHT = 4.0  # of what is hidden, in training; what is seen weighs 1
_JOINT_WEIGHT = 16.0  # the same where there are several variables, of which a copy guesses only some
_GROUPS = 3  # of variables, guessed by different copies


def hidden_variables(config: NetworkConfig) -> Tensor:
    """Which variables each copy must guess in the newest slots, shape (K, F), 0 or 1.

    A single variable is hidden from every copy. Of several, each copy guesses a third from the others: then a value
    that its own past allows, but the others contradict, is a surprise. Three copies in turn guess each variable once.
    """
    copies, width = config.copies, config.width
    groups = min(_GROUPS, copies, width)
    generator = torch.Generator().manual_seed(0)
    guessed = torch.zeros(copies, width)
    for k in range(copies):
        if k % groups == 0:
            order = torch.randperm(width, generator=generator)
        guessed[k, order[k % groups :: groups]] = 1.0
    return guessed


def _uniform(shape: tuple[int, ...], bound: float, generator: torch.Generator) -> Tensor:
    """Draws from -`bound` to `bound`, in place (`bundle._shapes` says why)."""
    return torch.rand(shape, generator=generator).mul_(2).sub_(1).mul_(bound)


class StackedLinear(nn.Module):
    """One linear layer of K independent networks."""

    def __init__(self, copies: int, inputs: int, outputs: int, relu: bool, generator: torch.Generator) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(_uniform((copies, inputs, outputs), bound, generator))
        self.bias = nn.Parameter(_uniform((copies, 1, outputs), bound, generator))
        self.relu = relu
        self.outputs, self.unused = outputs, unused_outputs(outputs)

    def forward(self, x: Tensor) -> Tensor:
        weight: Tensor = self.weight
        bias: Tensor = self.bias
        if self.unused:
            weight, bias = F.pad(weight, (0, self.unused)), F.pad(bias, (0, self.unused))
        x = torch.baddbmm(bias, x, weight)  # (K, B, inputs) -> (K, B, outputs + unused)
        if self.unused:
            x = x[..., : self.outputs].contiguous()
        return torch.relu(x) if self.relu else x


class MaskedEnsemble(Network):
    """The project's own: K copies of I-64-32-2-32-64-(W*F), ReLU but for the bottleneck and the output.

    The newest `masked` slots are hidden on input, so that the reconstruction of the last slot is what the network
    expects there, and its error is not the newest reading copied through. Of several variables each copy guesses a
    third (`hidden_variables`), and the others of the last slot also enter the decoder, beside the bottleneck: that is
    too narrow for what two weeks of readings can teach of how F variables hang together.

    Source:
        `recipe.py` of the project's experiments; masking after Devlin et al. 2019, arXiv:1810.04805.
    """

    def __init__(self, config: NetworkConfig, seed: int = 0) -> None:
        outputs = config.window * config.width
        super().__init__(config, config.copies * (outputs + CALENDAR))
        generator = torch.Generator().manual_seed(seed)
        self.beside = config.width if config.width > 1 else 0  # of one variable, the newest slot shows nothing
        sizes = (outputs + CALENDAR, *_HIDDEN, outputs)
        self.layers = nn.ModuleList(
            StackedLinear(
                config.copies,
                a + (self.beside if i == _BOTTLENECK + 1 else 0),
                b,
                i not in (_BOTTLENECK, len(_HIDDEN)),
                generator,
            )
            for i, (a, b) in enumerate(pairwise(sizes))
        )
        per_slot = torch.ones(config.copies, 1, config.window, config.width)  # (K, 1, W, F)
        self.visible = nn.Buffer(per_slot, persistent=False)
        self.weight = nn.Buffer(per_slot.clone(), persistent=False)

    def complete(self, config: NetworkConfig) -> None:
        """Hide from each copy what it has to guess, and weigh that."""
        guessed = hidden_variables(config)  # (K, F)
        hidden_weight = _MASKED_WEIGHT if config.width == 1 else _JOINT_WEIGHT
        first = config.window - config.masked
        self.weight[:, 0, first:] += guessed.unsqueeze(1) * (hidden_weight - 1)
        self.weight.div_(self.weight.mean((2, 3), keepdim=True))
        self.visible[:, 0, first:] -= guessed.unsqueeze(1)
        share = guessed / guessed.sum(0)  # (K, F): a copy's share in what is said of a variable
        self.share.copy_(share.t())

    def inputs(self, x: Tensor, calendar: Tensor) -> Tensor:
        """What each copy sees: `x` without what it has to guess, flattened, and the calendar."""
        seen = (x * self.visible).flatten(-2)  # (K, B, W * F)
        return torch.cat([seen, calendar.expand(seen.shape[0], -1, -1)], -1)  # (K, B, I)

    def target(self, x: Tensor, calendar: Tensor) -> Tensor:
        """The window."""
        return x

    def reconstruct(self, x: Tensor, observed: Tensor, calendar: Tensor) -> Tensor:
        """The window as each copy would have it."""
        inputs = self.inputs(x, calendar)  # (K, B, I)
        h = inputs
        newest = (self.window - 1) * self.width
        for i, layer in enumerate(self.layers):
            if i == 3:  # the decoder
                h = torch.cat([h, inputs[..., newest : newest + self.beside]], -1)  # (K, B, 2 + F)
            h = layer(h)  # (K, B, inputs) -> (K, B, outputs)
        return h.view(self.copies, -1, self.window, self.width)  # (K, B, W, F)

    def weigh(self, target: Tensor) -> Tensor:
        """What a copy must guess weighs 4 times what it sees, 16 times where there are several variables."""
        return self.weight


@dataclass(frozen=True)
class DenseConfig:
    """Layers of a `DenseEnsemble`.

    Attributes:
        hidden: Outputs of the encoder's layers, the last the bottleneck; the decoder mirrors them.
        calendar: Whether a reading's calendar is among its columns.
    """

    hidden: tuple[int, ...]
    calendar: bool


DENSE = {
    "manufacturing": DenseConfig((512, 32), calendar=False),
    "dense-3": DenseConfig((64, 32, 2), calendar=True),
    "dense-4": DenseConfig((64, 32, 16, 2), calendar=True),
}


class DenseEnsemble(Network):
    """K copies of an autoencoder of one reading: C-hidden-C, ReLU but for the linear bottleneck and the sigmoid output.

    It looks at the window's newest slot only. Its columns are the values, of which the warm-up's range is 0 to 1, and
    with `calendar` the sines and cosines moved from -1..1 to 0..1.
    """

    ends = "sigmoid"

    def __init__(self, config: NetworkConfig, layers: DenseConfig, seed: int = 0) -> None:
        columns = config.width + (CALENDAR if layers.calendar else 0)
        sizes = (columns, *layers.hidden, *layers.hidden[-2::-1], columns)
        super().__init__(config, config.copies * max(sizes))
        generator = torch.Generator().manual_seed(seed)
        self.calendar = layers.calendar
        linear = (len(layers.hidden) - 1, len(sizes) - 2)  # the bottleneck and the output
        self.layers = nn.ModuleList(
            StackedLinear(config.copies, a, b, i not in linear, generator) for i, (a, b) in enumerate(pairwise(sizes))
        )

    def target(self, x: Tensor, calendar: Tensor) -> Tensor:
        """The newest reading, perhaps with its calendar."""
        newest = x[..., -1:, :]  # (..., 1, F)
        if self.calendar:
            return torch.cat([newest, (calendar.unsqueeze(-2) + 1) / 2], -1)  # (..., 1, F + 4)
        return newest

    def reconstruct(self, x: Tensor, observed: Tensor, calendar: Tensor) -> Tensor:
        """The newest reading as each copy would have it."""
        h = self.target(x, calendar).squeeze(-2).expand(self.copies, -1, -1)  # (K, B, C)
        for layer in self.layers:
            h = layer(h)  # (K, B, inputs) -> (K, B, outputs)
        return h.sigmoid().unsqueeze(-2)  # (K, B, 1, C)
