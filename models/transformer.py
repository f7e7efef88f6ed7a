"""The Transformer, an encoder and a decoder over a window, for both tasks: `classify` and `reconstruct`.

Shapes: B windows, W slots, F variables, K copies, D numbers of a position, N classes.

TorchScript scripts it, never traces it: a trace would freeze the dropout and the masks of one example. Its layers are
written out and know no fast path, so eager and scripted agree on padded positions too.

Source:
    Vaswani et al. 2017, arXiv:1706.03762; post-norm layers as in torch.nn.Transformer.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.attention import Attention, AttentionConfig, causal, hide
from models.embedding import BinEmbedding, ConvolutionEmbedding, Positions
from models.network import (
    CALENDAR,
    Network,
    NetworkConfig,
    calendar_of_slots,
    options,
    read_options,
    unused_outputs,
)

NORMAL, ANOMALOUS = 0, 1  # the classes (N = 2)


@dataclass(frozen=True)
class TransformerConfig:
    """What the document's Transformer has, and what the better variants change.

    Attributes:
        embedding: `bins`: a table's row for each binned reading, F must be 1; `linear`: a linear map of the reading;
            `convolution`: a map of the reading and its neighbours.
        bins: Bins between `-reach` and `reach`; readings beyond are in the first and the last.
        reach: In units of the readings as the network sees them.
        kernel: Readings that the convolution sees at once, odd.
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
        pooling: `mean`: a class's score is the mean of all observed positions'; `max`: the greatest of them.
    """

    embedding: Literal["bins", "linear", "convolution"] = "bins"
    bins: int = 64
    reach: float = 4.0
    kernel: int = 5
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
    pooling: Literal["mean", "max"] = "mean"

    def __post_init__(self) -> None:
        if self.embedding == "convolution" and self.kernel % 2 == 0:
            raise ValueError(f"kernel is {self.kernel}, but it must be odd, so that it has a middle")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}, but it is a share below 1")

    def network(self, window: int = 250, width: int = 1, masked: int = 4, interval_s: int = 1800) -> NetworkConfig:
        """The shapes of a network of one copy with these layers, as a bundle's manifest has them."""
        default = asdict(TransformerConfig())
        changed = {name: value for name, value in asdict(self).items() if value != default[name]}
        return NetworkConfig(window, width, masked, 1, interval_s, options(changed))

    @classmethod
    def of(cls, config: NetworkConfig) -> TransformerConfig:
        """The layers that `config.options` speak of.

        Raises:
            ValueError: An option is unknown or impossible.
        """
        return read_options(cls, config.options)


class FeedForward(nn.Module):
    """Two linear maps with ReLU between them, each position by itself."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.first = nn.Linear(config.dim, config.feedforward)
        self.second = nn.Linear(config.feedforward, config.dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.dropout(torch.relu(self.first(x)))  # (B, W, feedforward)
        out: Tensor = self.second(hidden)  # (B, W, D)
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
        """(B, W, D); `present` is False at padding, (B, W)."""
        if self.norm_first:
            h = self.norm1(x)  # (B, W, D)
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
        """(B, W, D); `memory` is the encoder's output, `present` as there, `mask` as in Attention."""
        if self.norm_first:
            h = self.norm1(x)  # (B, W, D)
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
        outputs: Numbers for each position: N classes or F variables.

    Raises:
        ValueError: Readings of several variables cannot be binned.
    """

    def __init__(self, config: TransformerConfig, network: NetworkConfig, outputs: int) -> None:
        super().__init__()
        if config.embedding == "bins" and network.width != 1:
            raise ValueError(f"readings of {network.width} variables cannot be binned; set embedding: linear")
        self.window, self.interval_s = network.window, network.interval_s
        kernel = config.kernel if config.embedding == "convolution" else 1
        self.embedding: nn.Module = ConvolutionEmbedding(network.width, kernel, config.dim)
        if config.embedding == "bins":
            self.embedding = BinEmbedding(config.bins, config.reach, config.dim)
        self.times = nn.Linear(CALENDAR, config.dim, bias=False) if config.calendar else None
        self.positions = Positions(network.window, config.dim, config.positions == "learned")
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))
        self.encoder_norm = nn.LayerNorm(config.dim)
        self.decoder = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        self.decoder_norm = nn.LayerNorm(config.dim) if config.decoder_layers else None
        self.output = nn.Linear(config.dim, outputs)
        self.outputs, self.unused = outputs, unused_outputs(outputs)
        self.causal = config.causal

    def forward(self, x: Tensor, visible: Tensor, calendar: Tensor) -> Tensor:
        """Outputs of each position.

        Args:
            x: Windows, shape (B, W, F).
            visible: False where a slot is a gap or hidden, shape (B, W), bool: no position looks there.
            calendar: Calendar of each window's last slot, shape (B, 4).

        Returns:
            Shape (B, W, outputs).
        """
        embedded = self.embedding(x, visible)  # (B, W, D)
        if self.times is not None:
            embedded = embedded + self.times(calendar_of_slots(calendar, self.window, self.interval_s))
        embedded = self.dropout(self.positions(embedded))  # (B, W, D)
        h = embedded
        for layer in self.encoder:
            h = layer(h, visible)  # (B, W, D)
        h = self.encoder_norm(h)
        if self.decoder_norm is not None:
            memory, h = h, embedded
            mask = causal(self.window, x.device) if self.causal else None  # (W, W)
            for layer in self.decoder:
                h = layer(h, memory, visible, mask)  # (B, W, D)
            h = self.decoder_norm(h)
        weight, bias = F.pad(self.output.weight, (0, 0, 0, self.unused)), F.pad(self.output.bias, (0, self.unused))
        return F.linear(h, weight, bias)[..., : self.outputs]  # (B, W, outputs)


def own_scale(x: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and spread of each window's visible slots, shapes (..., 1, F); the spread is at least 0.001."""
    values = x.transpose(-2, -1).contiguous()  # (..., F, W)
    seen = visible.unsqueeze(-2)  # (..., 1, W)
    count = seen.sum(-1, keepdim=True).clamp(min=1)  # (..., 1, 1)
    mean = (values * seen).sum(-1, keepdim=True) / count  # (..., F, 1)
    square = ((values - mean) * seen).square().sum(-1, keepdim=True) / count  # (..., F, 1)
    return mean.transpose(-2, -1), square.sqrt().clamp(min=1e-3).transpose(-2, -1)  # (..., 1, F)


def _largest(config: TransformerConfig, network: NetworkConfig) -> int:
    """Size of the largest intermediate result of one window."""
    return network.window * max(config.heads * network.window, config.feedforward, config.dim)


class TransformerReconstructor(Network):
    """K copies of a Transformer that guess the newest `masked` slots of a window and repeat the others."""

    def __init__(self, config: NetworkConfig, seed: int = 0) -> None:
        layers = TransformerConfig.of(config)
        super().__init__(config, _largest(layers, config))
        self.masked, self.scaled = config.masked, layers.scaled
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.members = nn.ModuleList(Transformer(layers, config, config.width) for _ in range(config.copies))

    def target(self, x: Tensor, calendar: Tensor) -> Tensor:
        """The window."""
        return x

    def reconstruct(self, x: Tensor, observed: Tensor, calendar: Tensor) -> Tensor:
        """The window as each copy would have it."""
        shown = torch.arange(self.window, device=x.device) < self.window - self.masked  # (W,)
        visible = observed & shown  # (L, B, W)
        if not self.scaled:
            return self.guess(x, visible, calendar)  # (K, B, W, F)
        mean, spread = own_scale(x, visible)  # (L, B, 1, F)
        return self.guess((x - mean) / spread, visible, calendar) * spread + mean  # (K, B, W, F)

    def guess(self, x: Tensor, visible: Tensor, calendar: Tensor) -> Tensor:
        """Each copy's output, shape (K, B, W, F)."""
        x = x.expand(self.copies, -1, -1, -1)  # (K, B, W, F)
        visible, calendar = visible.expand(self.copies, -1, -1), calendar.expand(self.copies, -1, -1)  # (K, B, ...)
        return torch.stack([member(x[k], visible[k], calendar[k]) for k, member in enumerate(self.members)])

    def weigh(self, target: Tensor) -> Tensor:
        """A hidden slot weighs 4 times a visible one."""
        weight = torch.ones(self.window, 1, device=target.device)  # (W, 1)
        weight[-self.masked :] = 4.0
        return weight / weight.mean()


class TransformerClassifier(Network):
    """K copies of a Transformer that say whether a window is anomalous.

    As a stream's scorer its errors are surprise, -log p(normal), in nats; it expects nothing, so the expected value is
    the reading itself. It learns from labels only, which a daemon does not have: it serves as it is, without tunings.
    """

    def __init__(self, config: NetworkConfig, seed: int = 0) -> None:
        layers = TransformerConfig.of(config)
        super().__init__(config, _largest(layers, config))
        self.scaled, self.greatest = layers.scaled, layers.pooling == "max"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.members = nn.ModuleList(Transformer(layers, config, 2) for _ in range(config.copies))

    def slot_logits(self, x: Tensor, observed: Tensor, calendar: Tensor) -> Tensor:
        """Each class's score at each position, shape (K, B, N, W); arguments as `forward`."""
        if self.scaled:
            mean, spread = own_scale(x, observed)
            x = (x - mean) / spread  # (B, W, F)
        copies = [member(x, observed, calendar) for member in self.members]
        return torch.stack(copies).transpose(-2, -1).contiguous()  # (K, B, N, W)

    def pool(self, slots: Tensor, observed: Tensor) -> Tensor:
        """Each class's score of the window over its observed slots: (K, B, N, W) and (B, W) give (K, B, N)."""
        seen = observed.unsqueeze(-2)  # (B, 1, W)
        if self.greatest:
            return hide(slots, seen).amax(-1)  # (K, B, N)
        return (slots * seen).sum(-1) / seen.sum(-1).clamp(min=1)  # (K, B, N)

    def logits(self, x: Tensor, observed: Tensor, calendar: Tensor) -> Tensor:
        """Each class's score, NORMAL and ANOMALOUS, by each copy, shape (K, B, N); arguments as `forward`."""
        return self.pool(self.slot_logits(x, observed, calendar), observed)

    def forward(self, x: Tensor, observed: Tensor, calendar: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Scores of each window, averaged over the copies; arguments as `Network.forward`.

        Returns:
            expected: The last slot's reading, shape (B, F).
            newest: -log p(normal), the same for each variable, shape (B, F).
            rms: -log p(normal), shape (B,).
            slot_error: -log p(normal) by each observed slot's own scores, shape (B, W).
        """
        slots = self.slot_logits(x, observed, calendar)  # (K, B, N, W)
        windows = self.pool(slots, observed)  # (K, B, N)
        surprise = -windows.log_softmax(-1)[..., 0]  # (K, B)
        mean = surprise.permute(1, 0).contiguous().mean(-1)  # (B,)
        each = -slots.transpose(-2, -1).contiguous().log_softmax(-1)[..., 0] * observed  # (K, B, W)
        slot_error = each.permute(1, 2, 0).contiguous().mean(-1)  # (B, W)
        return x[:, -1].clone(), mean.unsqueeze(-1).repeat(1, self.width), mean, slot_error

    def classification_loss(self, x: Tensor, observed: Tensor, calendar: Tensor, label: Tensor) -> Tensor:
        """Mean cross-entropy over windows and copies; `label` is the class of each window, shape (B,), int64."""
        scores = self.logits(x, observed, calendar)  # (K, B, N)
        return F.cross_entropy(scores.flatten(0, 1), label.repeat(self.copies))
