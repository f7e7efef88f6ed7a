"""Self-attention written out, to be read beside the formulae.

    q = x W_q + b_q      k = x W_k + b_k      v = x W_v + b_v
    attention = softmax(q k^T / sqrt(d_k)) v
    output = concatenated heads W_o + b_o

Shapes: B sequences, T positions that look, S positions looked at, D numbers of a position, H heads of D / H each.

Source:
    Vaswani et al. 2017, arXiv:1706.03762, section 3.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.network import unused_outputs


@dataclass(frozen=True)
class AttentionConfig:
    """An attention layer.

    Attributes:
        dim: Numbers of a position (D); heads divide it.
        heads: Heads (H).
        bias: Whether queries, keys and values have a bias.
        output: Whether the heads' values go through an output map.
        output_bias: Whether that map has a bias.
    """

    dim: int
    heads: int = 1
    bias: bool = True
    output: bool = True
    output_bias: bool = True

    def __post_init__(self) -> None:
        if self.heads < 1 or self.dim < 1 or self.dim % self.heads:
            raise ValueError(f"{self.heads} heads cannot share {self.dim} numbers evenly; give a dim they divide")


def attend(q: Tensor, k: Tensor, v: Tensor, visible: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Scaled dot-product attention.

    Args:
        q: Queries, shape (..., T, d).
        k: Keys, shape (..., S, d).
        v: Values, shape (..., S, e).
        visible: True where a query may look at a key, broadcast to (..., T, S); None: everywhere.

    Returns:
        The weighted sum of the values, shape (..., T, e), and the weights, shape (..., T, S). A query that may look at
        nothing gets zeros.
    """
    scores = _products(q / math.sqrt(q.shape[-1]), k)  # (..., T, S), the smaller factor scaled
    if visible is None or bool(visible.all()):  # the same bits as below, and half of the memory moved
        weights = scores.softmax(-1)  # (..., T, S)
    else:
        weights = hide(scores, visible).softmax(-1) * visible  # a query that may look at nothing gets zeros
    return weights @ v, weights


def _products(q: Tensor, k: Tensor) -> Tensor:
    """q k^T; see `unused_outputs` for the keys that are added and cut off again."""
    keys = k.shape[-2]
    unused = unused_outputs(keys)
    if not unused:
        return q @ k.transpose(-2, -1)
    return (q @ F.pad(k, (0, 0, 0, unused)).transpose(-2, -1))[..., :keys].contiguous()


def hide(scores: Tensor, visible: Tensor) -> Tensor:
    """Scores with those of hidden positions far below all others; a row of minus infinity would become NaN."""
    return scores.masked_fill(~visible, -1e30)


def causal(positions: int, device: torch.device | None = None) -> Tensor:
    """The mask under which no position sees a later one, shape (T, T), True where it may look."""
    return torch.ones(positions, positions, dtype=torch.bool, device=device).tril()


class Attention(nn.Module):
    """Attention with several heads. Give the same sequence twice for self-attention."""

    def __init__(self, config: AttentionConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.q = nn.Linear(config.dim, config.dim, config.bias)
        self.k = nn.Linear(config.dim, config.dim, config.bias)
        self.v = nn.Linear(config.dim, config.dim, config.bias)
        self.o = nn.Linear(config.dim, config.dim, config.output_bias) if config.output else nn.Identity()

    def split(self, x: Tensor) -> Tensor:
        """One row of heads for each sequence."""
        return x.view(x.shape[0], x.shape[1], self.heads, -1).transpose(-3, -2)  # (B, T, D) -> (B, H, T, D / H)

    def forward(self, x: Tensor, memory: Tensor, present: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """What each position of `x` takes from `memory`.

        Args:
            x: The sequences that look, shape (B, T, D).
            memory: The sequences looked at, shape (B, S, D).
            present: False where a position of `memory` is padding, shape (B, S), bool; None: all are there.
            mask: True where a position may look at another, shape (T, S), bool, such as `causal`; None: everywhere.

        Returns:
            Shape (B, T, D).
        """
        q, k, v = self.split(self.q(x)), self.split(self.k(memory)), self.split(self.v(memory))  # (B, H, T or S, D / H)
        visible = mask  # (T, S)
        if present is not None:
            visible = present[:, None, None, :]  # (B, 1, 1, S)
            if mask is not None:
                visible = visible & mask  # (B, 1, T, S)
        heads = attend(q, k, v, visible)[0]  # (B, H, T, D / H)
        out: Tensor = self.o(heads.transpose(-3, -2).flatten(-2))  # (B, T, D)
        return out
