"""The Transformer, an encoder and a decoder over a window, for both tasks: `classify` and `reconstruct`.

Shapes: B windows, W slots, T positions (W over the slots of a patch), F variables, K copies, D numbers of a position,
N classes.

TorchScript scripts it, never traces it: a trace would freeze the dropout and the masks of one example. Its layers are
written out and know no fast path, so eager and scripted agree on padded positions too.

Source:
    Vaswani et al. 2017, arXiv:1706.03762; post-norm layers as in torch.nn.Transformer.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from models.attention import Attention, AttentionConfig, causal
from models.context import Inputs
from models.embedding import BinEmbedding, ConvolutionEmbedding, PatchEmbedding, Positions
from models.network import SlotCalendar, WidenedLinear
from models.network_config import CALENDAR, NetworkConfig, options


@dataclass(frozen=True)
class TransformerConfig:
    """What the document's Transformer has, and what the better variants change.

    Attributes:
        embedding: `bins`: a table's row for each binned reading, F must be 1; `linear`: a linear map of the reading;
            `convolution`: a map of the reading and its neighbours; `patches`: the same, then a map of `patch` slots.
        bins: Bins between `-reach` and `reach`; readings beyond are in the first and the last.
        reach: In units of the readings as the network sees them.
        kernel: Readings that the convolution sees at once, odd.
        patch: With `patches` the slots of a position, which divide the window.
        scaled: Whether each window is first moved and scaled to mean 0 and spread 1 over its visible slots.
        calendar: Whether each slot's time of day and week is added to its embedding.
        positions: `sine` or `learned` positional encoding.
        dim: Numbers of a position (D).
        heads: Heads of every attention.
        encoder_layers, decoder_layers: Layers of either stack; without a decoder the encoder's output goes on.
        feedforward: Numbers between the two linear maps of a layer.
        dropout: Share that is dropped in training, after the embedding and every sublayer.
        norm_first: Whether a sublayer's input is normalised instead of its output.
        causal: Whether a position of the decoder sees none after it.
        inputs: Of a classifier, `value`: the reading alone; `context`: the thirteen columns of `models.context`, of the
            newest slots after those of seven days; of a reconstruction, `value` or `residual`: what is left of a
            reading beside the (lower) median of the seven days before, which the window holds too.
        pooling: `mean`: a class's score is the mean of all observed positions'; `max`: the greatest of them;
            `last`: the newest slot's.
    """

    embedding: Literal["bins", "linear", "convolution", "patches"] = "bins"
    bins: int = 64
    reach: float = 4.0
    kernel: int = 5
    patch: int = 5
    scaled: bool = False
    calendar: bool = False
    positions: Literal["sine", "learned"] = "sine"
    dim: int = 32
    heads: int = 2
    encoder_layers: int = 3
    decoder_layers: int = 3
    feedforward: int = 64
    dropout: float = 0.3
    norm_first: bool = False
    causal: bool = False
    pooling: Literal["mean", "max", "last"] = "mean"
    inputs: Inputs = "value"

    def __post_init__(self) -> None:
        if self.embedding in ("convolution", "patches") and self.kernel % 2 == 0:
            raise ValueError(f"kernel is {self.kernel}, but it must be odd, so that it has a middle")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}, but it is a share below 1")

    def network(self, window: int = 250, width: int = 1, masked: int = 4, interval_s: int = 1800) -> NetworkConfig:
        """The shapes of a network of one copy with these layers, as a bundle's manifest has them."""
        return NetworkConfig(window, width, masked, 1, interval_s, options(asdict(self)))


class FeedForward(nn.Module):
    """Two linear maps with ReLU between them, each position by itself."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.first = nn.Linear(config.dim, config.feedforward)
        self.second = nn.Linear(config.feedforward, config.dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.dropout(torch.relu(self.first(x)))  # (B, T, feedforward)
        out: Tensor = self.second(hidden)  # (B, T, D)
        return out


class EncoderLayer(nn.Module):
    """Self-attention, then a feed-forward map, each added to its input."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.attention = Attention(AttentionConfig(config.dim, config.heads))
        self.feedforward = FeedForward(config)
        self.norm1, self.norm2 = nn.LayerNorm(config.dim), nn.LayerNorm(config.dim)
        self.dropout = nn.Dropout(config.dropout)
        self.norm_first = config.norm_first

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """(B, T, D); `present` is False at padding, (B, T)."""
        if self.norm_first:
            h = self.norm1(x)  # (B, T, D)
            x = x + self.dropout(self.attention(h, h, present, None))
            fed: Tensor = x + self.dropout(self.feedforward(self.norm2(x)))
            return fed
        x = self.norm1(x + self.dropout(self.attention(x, x, present, None)))
        out: Tensor = self.norm2(x + self.dropout(self.feedforward(x)))
        return out


class DecoderLayer(nn.Module):
    """Self-attention under a mask, attention to the encoder's output, then a feed-forward map."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.attention = Attention(AttentionConfig(config.dim, config.heads))
        self.memory = Attention(AttentionConfig(config.dim, config.heads))
        self.feedforward = FeedForward(config)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(config.dim) for _ in range(3))
        self.dropout = nn.Dropout(config.dropout)
        self.norm_first = config.norm_first

    def forward(self, x: Tensor, memory: Tensor, present: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, D); `memory` is the encoder's output, `present` as there, `mask` as in Attention."""
        if self.norm_first:
            h = self.norm1(x)  # (B, T, D)
            x = x + self.dropout(self.attention(h, h, present, mask))
            x = x + self.dropout(self.memory(self.norm2(x), memory, present, None))
            fed: Tensor = x + self.dropout(self.feedforward(self.norm3(x)))
            return fed
        x = self.norm1(x + self.dropout(self.attention(x, x, present, mask)))
        x = self.norm2(x + self.dropout(self.memory(x, memory, present, None)))
        out: Tensor = self.norm3(x + self.dropout(self.feedforward(x)))
        return out


class Transformer(nn.Module):
    """Embedding, encoder, decoder and a linear output for each position.

    Args:
        config: Its layers.
        network: Its shapes.
        outputs: Numbers for each slot: N classes or F variables.

    Raises:
        ValueError: Readings of several variables cannot be binned, or patches do not divide the window.
    """

    def __init__(self, config: TransformerConfig, network: NetworkConfig, outputs: int) -> None:
        super().__init__()
        if config.embedding == "bins" and network.width != 1:
            raise ValueError(f"readings of {network.width} variables cannot be binned; set embedding: linear")
        self.patch = config.patch if config.embedding == "patches" else 1
        if network.window % self.patch:
            raise ValueError(f"a window of {network.window} slots cannot be cut into patches of {self.patch}")
        self.tokens = network.window // self.patch
        self.slots = SlotCalendar(network.window, network.interval_s)
        self.embedding = _embedding(config, network.width)
        self.times = nn.Linear(CALENDAR, config.dim, bias=False) if config.calendar else None
        self.positions = Positions(self.tokens, config.dim, config.positions == "learned")
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))
        self.encoder_norm = nn.LayerNorm(config.dim)
        self.decoder = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        self.decoder_norm = nn.LayerNorm(config.dim) if config.decoder_layers else None
        self.output = WidenedLinear(config.dim, outputs * self.patch)
        self.causal = config.causal

    def forward(self, x: Tensor, visible: Tensor, calendar: Tensor) -> Tensor:
        """Outputs of each slot.

        Args:
            x: Windows, shape (B, W, F).
            visible: False where a slot is a gap or hidden, shape (B, W), bool: no position looks there.
            calendar: Calendar of each window's last slot, shape (B, 4).

        Returns:
            Shape (B, W, outputs).
        """
        present = visible.reshape(visible.shape[0], -1, self.patch).any(-1)  # (B, T)
        embedded = self.embedding(x, visible)  # (B, T, D)
        if self.times is not None:
            embedded = embedded + self.times(self.slots(calendar)[:, self.patch - 1 :: self.patch])
        embedded = self.dropout(self.positions(embedded))  # (B, T, D)
        h = embedded
        for layer in self.encoder:
            h = layer(h, present)  # (B, T, D)
        h = self.encoder_norm(h)
        if self.decoder_norm is not None:
            memory, h = h, embedded
            mask = causal(self.tokens, x.device) if self.causal else None  # (T, T)
            for layer in self.decoder:
                h = layer(h, memory, present, mask)  # (B, T, D)
            h = self.decoder_norm(h)
        patches: Tensor = self.output(h)  # (B, T, P * outputs)
        return patches.reshape(patches.shape[0], -1, patches.shape[2] // self.patch)  # (B, W, outputs)


def _embedding(config: TransformerConfig, width: int) -> nn.Module:
    if config.embedding == "bins":
        return BinEmbedding(config.bins, config.reach, config.dim)
    if config.embedding == "patches":
        return PatchEmbedding(width, config.kernel, config.patch, config.dim)
    return ConvolutionEmbedding(width, config.kernel if config.embedding == "convolution" else 1, config.dim)
