"""From the readings of a window to numbers of positions: four ways to embed a reading, and the positional encoding.

Shapes: B windows, W slots, F variables, D numbers of a position.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BinEmbedding(nn.Module):
    """A token for each binned reading, and a row of a table for each token; one more token means that nothing is seen.

    Args:
        bins: Bins between `-reach` and `reach`; readings beyond are in the first and the last.
        reach: Units of the readings.
        dim: Numbers of a position (D).
    """

    def __init__(self, bins: int, reach: float, dim: int) -> None:
        super().__init__()
        self.bins, self.reach = bins, reach
        self.table = nn.Embedding(bins + 1, dim)

    def tokens(self, x: Tensor, visible: Tensor) -> Tensor:
        """Bin of each reading, `bins` where nothing is seen; (B, W, 1) and (B, W) give (B, W), int64."""
        share = (x.squeeze(-1) + self.reach) / (2 * self.reach)  # (B, W)
        token = (share * self.bins).floor().clamp(0, self.bins - 1).long()  # (B, W)
        return token.masked_fill(~visible, self.bins)

    def forward(self, x: Tensor, visible: Tensor) -> Tensor:
        """Embedding of each slot, (B, W, 1) and (B, W) give (B, W, D)."""
        out: Tensor = self.table(self.tokens(x, visible))  # (B, W, D)
        return out


class ConvolutionEmbedding(nn.Module):
    """A linear map of each reading and its neighbours; with a kernel above 1 through ReLU and a second map.

    A slot's columns are its F values, 0 where nothing is seen, and whether it is seen.

    Args:
        width: Variables of a reading (F).
        kernel: Slots that are seen at once, odd; 1 sees the slot alone.
        dim: Numbers of a position (D).
    """

    def __init__(self, width: int, kernel: int, dim: int) -> None:
        super().__init__()
        self.kernel = kernel
        first = nn.Linear((width + 1) * kernel, dim)
        self.map = nn.Sequential(first) if kernel == 1 else nn.Sequential(first, nn.ReLU(), nn.Linear(dim, dim))

    def forward(self, x: Tensor, visible: Tensor) -> Tensor:
        """Embedding of each slot, (B, W, F) and (B, W) give (B, W, D)."""
        seen = visible.unsqueeze(-1).to(x.dtype)  # (B, W, 1)
        columns = torch.cat([x * seen, seen], -1)  # (B, W, F + 1)
        beside = self.kernel // 2
        padded = F.pad(columns, (0, 0, beside, beside))  # (B, W + kernel - 1, F + 1)
        # one linear map, not conv1d, whose bits depend on the batch on some machines
        near = padded.unfold(1, self.kernel, 1).flatten(2)  # (B, W, (F + 1) * kernel)
        out: Tensor = self.map(near)  # (B, W, D)
        return out


class PatchEmbedding(nn.Module):
    """One position for each `patch` slots in a row: attention over a window becomes cheaper by the square of it.

    Args:
        width: Variables of a reading (F).
        kernel: Slots that are seen at once before the patches are formed, odd.
        patch: Slots of a patch (P); it divides W.
        dim: Numbers of a position (D).
    """

    def __init__(self, width: int, kernel: int, patch: int, dim: int) -> None:
        super().__init__()
        self.patch = patch
        self.slots = ConvolutionEmbedding(width, kernel, dim)
        self.map = nn.Linear(patch * dim, dim)

    def forward(self, x: Tensor, visible: Tensor) -> Tensor:
        """Embedding of each patch, (B, W, F) and (B, W) give (B, W / P, D)."""
        slots = torch.relu(self.slots(x, visible))  # (B, W, D)
        patches = slots.view(slots.shape[0], -1, self.patch * slots.shape[-1])  # (B, W / P, P * D)
        out: Tensor = self.map(patches)  # (B, W / P, D)
        return out


def sines(positions: int, dim: int) -> Tensor:
    """Positional encoding by sines and cosines of falling frequency, shape (W, D).

    Source:
        Vaswani et al. 2017, arXiv:1706.03762, section 3.5.
    """
    position = torch.arange(positions).unsqueeze(-1)  # (W, 1)
    frequency = torch.exp(torch.arange(0, dim, 2) * (-math.log(10_000.0) / dim))  # (D / 2 rounded up,)
    angle = position * frequency  # (W, D / 2)
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(-2)[:, :dim].contiguous()  # (W, D)


class Positions(nn.Module):
    """Adds to each position what says where in the window it is.

    Args:
        positions: Slots in a window (W).
        dim: Numbers of a position (D).
        learned: Whether it is trained; it begins as the sines either way.
    """

    def __init__(self, positions: int, dim: int, learned: bool) -> None:
        super().__init__()
        if learned:
            self.table = nn.Parameter(sines(positions, dim))
        else:
            self.register_buffer("table", sines(positions, dim), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, W, D) plus (W, D)."""
        return x + self.table
