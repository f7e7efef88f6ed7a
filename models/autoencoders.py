"""The project's own network: several small masked autoencoders, evaluated as one batched product.

Shapes: B windows, W slots, F variables, K copies, I = W * F + 4 inputs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CALENDAR = 4  # columns of features.calendar
_HIDDEN = (64, 32, 2, 32, 64)
_BOTTLENECK = 2  # index of the layer that ends in the bottleneck
_MASKED_WEIGHT = 4.0  # of a masked slot's error in training; a visible slot weighs 1


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
    expects there, and its error is not the newest reading copied through.

    Reductions run over the last, contiguous axis only: over a leading axis the bits depend on the batch.

    Source:
        `recipe.py` of the project's experiments; masking after Devlin et al. 2019, arXiv:1810.04805.
    """

    def __init__(self, config: NetworkConfig, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.window, self.width, self.masked, self.copies = config.window, config.width, config.masked, config.copies
        outputs = config.window * config.width
        sizes = (outputs + CALENDAR, *_HIDDEN, outputs)
        self.layers = nn.ModuleList(
            StackedLinear(config.copies, a, b, i not in (_BOTTLENECK, len(_HIDDEN)), generator)
            for i, (a, b) in enumerate(pairwise(sizes))
        )

    def inputs(self, x: Tensor, calendar: Tensor) -> Tensor:
        """What the network sees: `x` with its newest slots hidden, flattened, and the calendar."""
        visible = x[..., : self.window - self.masked, :].flatten(-2)  # (..., (W - masked) * F)
        hidden = F.pad(visible, (0, self.masked * self.width))  # (..., W * F)
        return torch.cat([hidden, calendar], -1)  # (..., I)

    def reconstruct(self, inputs: Tensor) -> Tensor:
        """The window as each copy would have it, from `inputs` of shape (K, B, I)."""
        x = inputs
        for layer in self.layers:
            x = layer(x)  # (K, B, inputs) -> (K, B, outputs)
        return x.view(self.copies, -1, self.window, self.width)  # (K, B, W, F)

    def forward(self, x: Tensor, observed: Tensor, calendar: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Scores of each window, averaged over the copies.

        Args:
            x: Scaled windows, a gap filled with the last value, shape (B, W, F), float32.
            observed: False where a slot is a gap, shape (B, W), bool.
            calendar: Calendar of the window's last slot, shape (B, 4), float32.

        Returns:
            expected: Reconstruction of the last slot, shape (B, F).
            newest: Mean absolute error of the last slot, shape (B,).
            rms: Mean over copies of the root mean squared error over observed slots, shape (B,).
            slot_error: Mean squared error of each slot, 0 at gaps, shape (B, W).
        """
        inputs = self.inputs(x, calendar)  # (B, I)
        x_hat = self.reconstruct(inputs.expand(self.copies, -1, -1))  # (K, B, W, F)
        error = x_hat - x  # (K, B, W, F)
        expected = x_hat[:, :, -1].permute(1, 2, 0).contiguous().mean(-1)  # (B, F)
        newest = error[:, :, -1].abs().permute(1, 0, 2).contiguous().flatten(1).mean(-1)  # (B,)
        squared = error.square() * observed.unsqueeze(-1)  # (K, B, W, F)
        count = (observed.sum(-1) * self.width).clamp(min=1)  # (B,)
        copy_rms = (squared.flatten(2).sum(-1) / count).sqrt()  # (K, B)
        rms = copy_rms.permute(1, 0).contiguous().mean(-1)  # (B,)
        slot_error = squared.permute(1, 2, 0, 3).contiguous().flatten(2).mean(-1)  # (B, W)
        return expected, newest, rms, slot_error

    def loss(self, x: Tensor, observed: Tensor, calendar: Tensor) -> Tensor:
        """Training loss: weighted mean squared error of each copy on its own batch, summed over the copies.

        A masked slot weighs 4 times a visible one, the weights' mean is 1, and a gap weighs 0.

        Args:
            x: A batch for each copy, shape (K, B, W, F), float32.
            observed: False where a slot is a gap, shape (K, B, W), bool.
            calendar: Calendar of each window's last slot, shape (K, B, 4), float32.

        Returns:
            The loss, a scalar.
        """
        weight = torch.ones(self.window)  # (W,)
        weight[-self.masked :] = _MASKED_WEIGHT
        weight = (weight / weight.mean() * observed).unsqueeze(-1)  # (K, B, W, 1)
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
