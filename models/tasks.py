"""The Transformer's two tasks as architectures: guessing hidden slots, and telling anomalous windows from normal ones.

Shapes: B windows, W slots, T of them classified or guessed, F variables, C columns of a slot, K copies, L is K
or 1, N classes.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.attention import hide
from models.context import COLUMNS, Context, Usual
from models.network import Network, read_options
from models.network_config import NetworkConfig
from models.transformer import Transformer, TransformerConfig

NORMAL, ANOMALOUS = 0, 1  # the classes (N = 2)
RECONSTRUCTING = TransformerConfig(embedding="linear", calendar=True, dropout=0.1)
"""What a reconstruction has where nothing is given: a bin would hide small deviations, and the time says much."""


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
    tokens = network.window // (config.patch if config.embedding == "patches" else 1)
    return max(tokens * max(config.heads * tokens, config.feedforward), network.window * config.dim)


class TransformerReconstructor(Network):
    """K copies of a Transformer that guess the newest `masked` slots of a window and repeat the others.

    With `inputs: residual` they see, and guess, what is left of the T newest slots beside what is usual at their time;
    else T is W.
    """

    def __init__(self, config: NetworkConfig, seed: int = 0) -> None:
        layers = read_options(RECONSTRUCTING, config.options)
        if layers.inputs == "context":
            raise ValueError("inputs is context, but a reconstruction sees values or their residuals; set one of them")
        usual = Usual(config.window, config.interval_s) if layers.inputs == "residual" else None
        own = config if usual is None else replace(config, window=usual.newest)
        if usual is not None and config.masked >= own.window:
            raise ValueError(f"masked is {config.masked}, but beside seven days the window has {own.window} slots only")
        super().__init__(config, _largest(layers, own))
        self.usual, self.newest = usual, own.window
        self.masked, self.scaled = config.masked, layers.scaled
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.members = nn.ModuleList(Transformer(layers, own, config.width) for _ in range(config.copies))

    def target(self, x: Tensor, calendar: Tensor) -> Tensor:
        """The newest slots."""
        return x[..., self.window - self.newest :, :]

    def reconstruct(self, x: Tensor, observed: Tensor, calendar: Tensor) -> Tensor:
        """The newest slots as each copy would have them."""
        newest = x[..., self.window - self.newest :, :].contiguous()  # (L, B, T, F)
        if self.usual is None:
            return self.fill_in(newest, observed, calendar)
        usual: Tensor = self.usual(x, observed)  # (L, B, T, F)
        return self.fill_in(newest - usual, observed, calendar) + usual

    def fill_in(self, x: Tensor, observed: Tensor, calendar: Tensor) -> Tensor:
        """What the copies see, and what they would have in its place: (L, B, T, F) gives (K, B, T, F)."""
        shown = torch.arange(self.newest, device=x.device) < self.newest - self.masked  # (T,)
        visible = observed[..., self.window - self.newest :] & shown  # (L, B, T)
        if not self.scaled:
            return self.guess(x, visible, calendar)
        mean, spread = own_scale(x, visible)  # (L, B, 1, F)
        return self.guess((x - mean) / spread, visible, calendar) * spread + mean

    def guess(self, x: Tensor, visible: Tensor, calendar: Tensor) -> Tensor:
        """Each copy's output, shape (K, B, T, F)."""
        x = x.expand(self.copies, -1, -1, -1)  # (K, B, T, F)
        visible, calendar = visible.expand(self.copies, -1, -1), calendar.expand(self.copies, -1, -1)  # (K, B, ...)
        return torch.stack([member(x[k], visible[k], calendar[k]) for k, member in enumerate(self.members)])

    def weigh(self, target: Tensor) -> Tensor:
        """A hidden slot weighs 4 times a visible one."""
        weight = torch.ones(self.newest, 1, device=target.device)  # (T, 1)
        weight[self.newest - self.masked :] = 4.0
        return weight / weight.mean()


class TransformerClassifier(Network):
    """K copies of a Transformer that say whether a window is anomalous.

    As a stream's scorer its errors are surprise, -log p(normal), in nats; it expects nothing, so the expected value is
    the reading itself. It learns from labels only, which a daemon does not have: it serves as it is, without tunings.

    With `inputs: context` the window holds seven days beside the T newest slots that are classified; else T is W.
    """

    def __init__(self, config: NetworkConfig, seed: int = 0) -> None:
        layers = read_options(TransformerConfig(), config.options)
        if layers.inputs == "residual":
            raise ValueError("inputs is residual, but a classifier sees values or their context; set one of them")
        context = Context(config.window, config.interval_s) if layers.inputs == "context" else None
        if context is not None and config.width != 1:
            raise ValueError(f"readings of {config.width} variables have no context; set inputs: value")
        own = config if context is None else replace(config, window=context.newest, width=COLUMNS)
        super().__init__(config, _largest(layers, own))
        self.context, self.newest = context, own.window
        self.scaled, self.pooling = layers.scaled, layers.pooling
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.members = nn.ModuleList(Transformer(layers, own, 2) for _ in range(config.copies))

    def see(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """What is classified of windows: (B, W, F) and (B, W) give columns (B, T, C), and where they are, (B, T)."""
        newest = observed[:, self.window - self.newest :]  # (B, T)
        return x if self.context is None else self.context(x, observed), newest

    def slot_logits(self, seen: Tensor, observed: Tensor, calendar: Tensor) -> Tensor:
        """Each class's score at each position.

        Args:
            seen: What `see` gives, shape (B, T, C).
            observed: False where a slot is a gap, shape (B, T), bool.
            calendar: Calendar of each window's last slot, shape (B, 4).

        Returns:
            Shape (K, B, N, T).
        """
        if self.scaled:
            mean, spread = own_scale(seen, observed)
            seen = (seen - mean) / spread  # (B, T, C)
        copies = [member(seen, observed, calendar) for member in self.members]
        return torch.stack(copies).transpose(-2, -1).contiguous()  # (K, B, N, T)

    def pool(self, slots: Tensor, observed: Tensor) -> Tensor:
        """Each class's score of the window over its observed slots: (K, B, N, T) and (B, T) give (K, B, N)."""
        seen = observed.unsqueeze(-2)  # (B, 1, T)
        if self.pooling == "max":
            return hide(slots, seen).amax(-1)  # (K, B, N)
        if self.pooling == "last":
            return slots[..., -1]  # (K, B, N)
        return (slots * seen).sum(-1) / seen.sum(-1).clamp(min=1)  # (K, B, N)

    def classify(self, seen: Tensor, observed: Tensor, calendar: Tensor) -> Tensor:
        """Each class's score, NORMAL and ANOMALOUS, by each copy, shape (K, B, N); arguments as `slot_logits`."""
        return self.pool(self.slot_logits(seen, observed, calendar), observed)

    def logits(self, x: Tensor, observed: Tensor, calendar: Tensor) -> Tensor:
        """`classify` of windows, arguments as `forward`."""
        seen, newest = self.see(x, observed)
        return self.classify(seen, newest, calendar)

    def forward(self, x: Tensor, observed: Tensor, calendar: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Scores of each window, averaged over the copies; arguments as `Network.forward`.

        Returns:
            expected: The last slot's reading, shape (B, F).
            newest: -log p(normal), the same for each variable, shape (B, F).
            rms: -log p(normal), shape (B,).
            slot_error: -log p(normal) by each observed slot's own scores, 0 where nothing is classified, shape (B, W).
        """
        seen, shown = self.see(x, observed)
        slots = self.slot_logits(seen, shown, calendar)  # (K, B, N, T)
        windows = self.pool(slots, shown)  # (K, B, N)
        surprise = -windows.log_softmax(-1)[..., 0]  # (K, B)
        mean = surprise.permute(1, 0).contiguous().mean(-1)  # (B,)
        each = -slots.transpose(-2, -1).contiguous().log_softmax(-1)[..., 0] * shown  # (K, B, T)
        slot_error = F.pad(each.permute(1, 2, 0).contiguous().mean(-1), (self.window - self.newest, 0))  # (B, W)
        if self.pooling == "last":  # the scores of all other slots were never asked for
            slot_error[:, :-1] = 0
        return x[:, -1].clone(), mean.unsqueeze(-1).repeat(1, self.width), mean, slot_error

    def classification_loss(self, x: Tensor, observed: Tensor, calendar: Tensor, label: Tensor) -> Tensor:
        """Mean cross-entropy over windows and copies; `label` is the class of each window, shape (B,), int64."""
        scores = self.logits(x, observed, calendar)  # (K, B, N)
        return F.cross_entropy(scores.flatten(0, 1), label.repeat(self.copies))
