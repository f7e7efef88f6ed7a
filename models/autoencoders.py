"""The project's own network: several small masked autoencoders, evaluated as one batched product.

Shapes: B windows, W slots, F variables, K copies, I = W * F + 4 inputs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

CALENDAR = 4  # columns of features.calendar
_HIDDEN = (64, 32, 2, 32, 64)
_BOTTLENECK = 2  # index of the layer that ends in the bottleneck
_MASKED_WEIGHT = 4.0  # of what is hidden, in training; what is seen weighs 1
_JOINT_WEIGHT = 16.0  # the same where there are several variables, of which a copy guesses only some
_GROUPS = 3  # of variables, guessed by different copies


@dataclass(frozen=True)
class NetworkConfig:
    """What fixes the shapes of a network.

    Attributes:
        window: Slots in a window (W).
        width: Variables of a reading (F).
        masked: Newest slots that are hidden from the network.
        copies: Independent copies that are averaged (K).
    """

    window: int = 32
    width: int = 1
    masked: int = 4
    copies: int = 6

    def __post_init__(self) -> None:
        if min(self.window, self.width, self.masked, self.copies) < 1 or self.masked >= self.window:
            raise ValueError(f"no network has {self}: all must be at least 1, and masked below window")


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


class StackedLinear(nn.Module):
    """One linear layer of K independent networks."""

    def __init__(self, copies: int, inputs: int, outputs: int, relu: bool, generator: torch.Generator) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter((torch.rand(copies, inputs, outputs, generator=generator) * 2 - 1) * bound)
        self.bias = nn.Parameter((torch.rand(copies, 1, outputs, generator=generator) * 2 - 1) * bound)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        x = torch.baddbmm(self.bias, x, self.weight)  # (K, B, inputs) -> (K, B, outputs)
        return torch.relu(x) if self.relu else x


class MaskedEnsemble(nn.Module):
    """K copies of I-64-32-2-32-64-(W*F), ReLU but for the bottleneck and the output.

    The newest `masked` slots are hidden on input, so that the reconstruction of the last slot is what the network
    expects there, and its error is not the newest reading copied through. Of several variables each copy guesses a
    third (`hidden_variables`), and the others of the last slot also enter the decoder, beside the bottleneck: that is
    too narrow for what two weeks of readings can teach of how F variables hang together.

    Reductions run over the last, contiguous axis only: over a leading axis the bits depend on the batch.

    Source:
        `recipe.py` of the project's experiments; masking after Devlin et al. 2019, arXiv:1810.04805.
    """

    def __init__(self, config: NetworkConfig, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.window, self.width, self.masked, self.copies = config.window, config.width, config.masked, config.copies
        outputs = config.window * config.width
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
        guessed = hidden_variables(config)  # (K, F)
        hidden_weight = _MASKED_WEIGHT if config.width == 1 else _JOINT_WEIGHT
        weight = torch.ones(config.copies, 1, config.window, config.width)  # (K, 1, W, F)
        visible = weight.clone()
        weight[:, 0, -config.masked :] += guessed.unsqueeze(1) * (hidden_weight - 1)
        visible[:, 0, -config.masked :] -= guessed.unsqueeze(1)
        self.visible = nn.Buffer(visible, persistent=False)
        self.weight = nn.Buffer(weight / weight.mean((2, 3), keepdim=True), persistent=False)
        share = guessed / guessed.sum(0)  # (K, F): a copy's share in what is said of a variable
        self.share = nn.Buffer(share.t().contiguous(), persistent=False)  # (F, K)

    def inputs(self, x: Tensor, calendar: Tensor) -> Tensor:
        """What each copy sees: `x` without what it has to guess, flattened, and the calendar."""
        seen = (x * self.visible).flatten(-2)  # (K, B, W * F)
        return torch.cat([seen, calendar.expand(seen.shape[0], -1, -1)], -1)  # (K, B, I)

    def reconstruct(self, inputs: Tensor) -> Tensor:
        """The window as each copy would have it, from `inputs` of shape (K, B, I)."""
        x = inputs
        newest = (self.window - 1) * self.width
        for i, layer in enumerate(self.layers):
            if i == 3:  # the decoder
                x = torch.cat([x, inputs[..., newest : newest + self.beside]], -1)  # (K, B, 2 + F)
            x = layer(x)  # (K, B, inputs) -> (K, B, outputs)
        return x.view(self.copies, -1, self.window, self.width)  # (K, B, W, F)

    def forward(self, x: Tensor, observed: Tensor, calendar: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Scores of each window, averaged over the copies.

        Args:
            x: Scaled windows, a gap filled with the last value, shape (B, W, F), float32.
            observed: False where a slot is a gap, shape (B, W), bool.
            calendar: Calendar of the window's last slot, shape (B, 4), float32.

        Returns:
            expected: Reconstruction of the last slot by the copies that guess it, shape (B, F).
            newest: Mean absolute error of each variable of the last slot, over the copies that guess it, shape (B, F).
            rms: Mean over copies of the root mean squared error over observed slots, shape (B,).
            slot_error: Mean squared error of each slot, 0 at gaps, shape (B, W).
        """
        x_hat = self.reconstruct(self.inputs(x, calendar))  # (K, B, W, F)
        error = x_hat - x  # (K, B, W, F)
        expected = (x_hat[:, :, -1].permute(1, 2, 0).contiguous() * self.share).sum(-1)  # (B, F)
        newest = (error[:, :, -1].abs().permute(1, 2, 0).contiguous() * self.share).sum(-1)  # (B, F)
        squared = error.square() * observed.unsqueeze(-1)  # (K, B, W, F)
        count = (observed.sum(-1) * self.width).clamp(min=1)  # (B,)
        copy_rms = (squared.flatten(2).sum(-1) / count).sqrt()  # (K, B)
        rms = copy_rms.permute(1, 0).contiguous().mean(-1)  # (B,)
        slot_error = squared.permute(1, 2, 0, 3).contiguous().flatten(2).mean(-1)  # (B, W)
        return expected, newest, rms, slot_error

    def loss(self, x: Tensor, observed: Tensor, calendar: Tensor) -> Tensor:
        """Training loss: weighted mean squared error of each copy on its own batch, summed over the copies.

        What a copy must guess weighs 4 times what it sees, 16 times where there are several variables; the weights'
        mean is 1, and a gap weighs 0.

        Args:
            x: A batch for each copy, shape (K, B, W, F), float32.
            observed: False where a slot is a gap, shape (K, B, W), bool.
            calendar: Calendar of each window's last slot, shape (K, B, 4), float32.

        Returns:
            The loss, a scalar.
        """
        weight = self.weight * observed.unsqueeze(-1)  # (K, B, W, F)
        x_hat = self.reconstruct(self.inputs(x, calendar))  # (K, B, W, F)
        return ((x_hat - x).square() * weight).mean((1, 2, 3)).sum()


def build(architecture: str, config: NetworkConfig, seed: int = 0) -> MaskedEnsemble:
    """A freshly initialised network.

    Args:
        architecture: Its name in the configuration.
        config: Its shapes.
        seed: Seed of the initial weights; the global generator is not touched.

    Raises:
        ValueError: No architecture has this name.
    """
    if architecture == "masked-autoencoder":
        return MaskedEnsemble(config, seed)
    raise ValueError(f"architecture {architecture!r} is not known; use masked-autoencoder")
