"""What the engine and the trainer ask of every architecture, and how a reconstruction becomes scores and a loss.

Shapes: B windows, W slots, F variables, K copies. A network reconstructs S slots of C columns: all W or only the newest
one, the F values and perhaps the slot's calendar beside them.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, ClassVar, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.network_config import NetworkConfig, Option

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

GAP_ROUNDS = 4  # after which what is expected in a gap hardly changes any more

Layers = TypeVar("Layers", bound="DataclassInstance")


def read_options(default: Layers, given: tuple[tuple[str, Option], ...]) -> Layers:
    """An architecture's own configuration: `default` where nothing is given.

    Raises:
        ValueError: An option is unknown or impossible.
    """
    known = {field.name for field in fields(default)}
    if unknown := {name for name, _ in given} - known:
        raise ValueError(f"unknown option {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
    return replace(default, **dict(given))


class Network(nn.Module):
    """Base of all architectures. A subclass says what it reconstructs (`target`) and how (`reconstruct`).

    Reductions run over the last, contiguous axis only: over a leading axis the bits depend on the batch.

    Attributes:
        window, width, copies: As in NetworkConfig.
        numbers: Size of the largest intermediate result of one window; the larger, the less the scorer pads batches.
        share: Each copy's share in what is said of a variable, shape (F, K); the sums over copies are 1.
    """

    ends: ClassVar[str] = ""
    """What is done to the last layer's output, in words; "" for nothing."""

    def __init__(self, config: NetworkConfig, numbers: int) -> None:
        super().__init__()
        self.window, self.width, self.copies = config.window, config.width, config.copies
        self.numbers = numbers
        self.gap_rounds = GAP_ROUNDS
        self.share = nn.Buffer(torch.full((config.width, config.copies), 1 / config.copies), persistent=False)

    def complete(self, config: NetworkConfig) -> None:
        """Work out the buffers that follow from the configuration; `architectures.build` calls it once."""

    def target(self, x: Tensor, calendar: Tensor) -> Tensor:
        """What the network is to reconstruct.

        Args:
            x: Scaled windows, shape (..., W, F).
            calendar: Calendar of each window's last slot, shape (..., 4).

        Returns:
            Shape (..., S, C): the newest S slots; the first F columns are the values.
        """
        raise NotImplementedError

    def reconstruct(self, x: Tensor, observed: Tensor, calendar: Tensor) -> Tensor:
        """`target` as each copy would have it.

        Args:
            x: Scaled windows, a gap filled with the last value, shape (L, B, W, F); L is K, or 1 for the same to all.
            observed: False where a slot is a gap, shape (L, B, W), bool.
            calendar: Calendar of each window's last slot, shape (L, B, 4).

        Returns:
            Shape (K, B, S, C).
        """
        raise NotImplementedError

    def weigh(self, target: Tensor) -> Tensor:
        """What each error weighs in the training loss, broadcast to (K, B, S, C), with a mean of 1 for each copy."""
        return torch.ones((), device=target.device)

    def forward(self, x: Tensor, observed: Tensor, calendar: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Scores of each window, averaged over the copies.

        Args:
            x: Scaled windows, a gap filled with the last value, shape (B, W, F), float32.
            observed: False where a slot is a gap, shape (B, W), bool.
            calendar: Calendar of the window's last slot, shape (B, 4), float32.

        Returns:
            expected: Reconstruction of the last slot, each copy with its share, shape (B, F).
            newest: Absolute error of each variable of the last slot, each copy with its share, shape (B, F).
            rms: Mean over copies of the root mean squared error over observed slots, shape (B,).
            slot_error: Mean squared error of each slot, 0 at gaps and where nothing is reconstructed, shape (B, W).
        """
        target = self.target(x, calendar)  # (B, S, C)
        x_hat = self.rebuild(x, observed, calendar)  # (K, B, S, C)
        slots, columns = target.shape[-2], target.shape[-1]
        error = x_hat - target  # (K, B, S, C)
        last, last_error = x_hat[:, :, -1, : self.width], error[:, :, -1, : self.width]  # (K, B, F) each
        expected = (last.permute(1, 2, 0).contiguous() * self.share).sum(-1)  # (B, F)
        newest = (last_error.abs().permute(1, 2, 0).contiguous() * self.share).sum(-1)  # (B, F)
        seen = observed[:, self.window - slots :]  # (B, S)
        squared = error.square() * seen.unsqueeze(-1)  # (K, B, S, C)
        count = (seen.sum(-1) * columns).clamp(min=1)  # (B,)
        copy_rms = (squared.flatten(2).sum(-1) / count).sqrt()  # (K, B)
        rms = copy_rms.permute(1, 0).contiguous().mean(-1)  # (B,)
        slot_error = squared.permute(1, 2, 0, 3).contiguous().flatten(2).mean(-1)  # (B, S)
        if slots < self.window:
            slot_error = F.pad(slot_error, (self.window - slots, 0))  # (B, W)
        return expected, newest, rms, slot_error

    def rebuild(self, x: Tensor, observed: Tensor, calendar: Tensor) -> Tensor:
        """`reconstruct`, with nothing in the gaps but what each copy itself expects there.

        A value held through a gap is a reading that nobody made, and looks like a flat line: a network that sees it
        expects one. So what is rebuilt in the gaps takes its place, `GAP_ROUNDS` times. A window without gaps has the
        same bits with and without the rounds.

        Args and shapes as in `forward`; returns shape (K, B, S, C).
        """
        x_hat = self.reconstruct(x.unsqueeze(0), observed.unsqueeze(0), calendar.unsqueeze(0))  # (K, B, S, C)
        if bool(observed.all()):
            return x_hat
        older = x[:, : self.window - x_hat.shape[-2]].unsqueeze(0).expand(self.copies, -1, -1, -1)  # (K, B, W - S, F)
        seen = observed.expand(self.copies, -1, -1)  # (K, B, W)
        known = calendar.expand(self.copies, -1, -1)  # (K, B, 4)
        for _ in range(self.gap_rounds):
            rebuilt = torch.cat([older, x_hat[..., : self.width]], -2)  # (K, B, W, F)
            filled = torch.where(seen.unsqueeze(-1), x.unsqueeze(0), rebuilt)  # (K, B, W, F)
            x_hat = self.reconstruct(filled, seen, known)
        return x_hat

    def loss(self, x: Tensor, observed: Tensor, calendar: Tensor) -> Tensor:
        """Training loss: weighted mean squared error of each copy on its own batch, summed over the copies.

        The weights are `weigh`'s, but a gap weighs 0.

        Args:
            x: A batch for each copy, shape (K, B, W, F), float32.
            observed: False where a slot is a gap, shape (K, B, W), bool.
            calendar: Calendar of each window's last slot, shape (K, B, 4), float32.

        Returns:
            The loss, a scalar.
        """
        target = self.target(x, calendar)  # (K, B, S, C)
        slots = target.shape[-2]
        weight = self.weigh(target) * observed[..., self.window - slots :].unsqueeze(-1)  # (K, B, S, 1 or C)
        x_hat = self.reconstruct(x, observed, calendar)  # (K, B, S, C)
        return ((x_hat - target).square() * weight).mean((1, 2, 3)).sum()


def calendar_of_slots(calendar: Tensor, slots: int, interval_s: int) -> Tensor:
    """Calendar of each of a window's slots, from that of its last one, by turning the angles back.

    A change of the clock inside the window is not seen: the slots before it are an hour off.

    Args:
        calendar: Sine and cosine of the time of day and of the time of week, shape (..., 4); 0 where not in use.
        slots: Slots in the window (W).
        interval_s: Seconds between two slots.

    Returns:
        Shape (..., W, 4), the oldest slot first.
    """
    back = torch.arange(slots - 1, -1, -1, device=calendar.device) * interval_s  # (W,)
    period = torch.tensor([86400, 604800], device=calendar.device)  # (2,) day and week
    angle = (back.unsqueeze(-1) % period) / period * 6.283185307179586  # (W, 2)
    sine, cosine = calendar[..., None, 0::2], calendar[..., None, 1::2]  # (..., 1, 2)
    turned_sine = sine * angle.cos() - cosine * angle.sin()  # (..., W, 2)
    turned_cosine = cosine * angle.cos() + sine * angle.sin()  # (..., W, 2)
    return torch.stack([turned_sine, turned_cosine], -1).flatten(-2)  # (..., W, 4)


class SlotCalendar(nn.Module):
    """`calendar_of_slots` of a window's slots."""

    def __init__(self, slots: int, interval_s: int) -> None:
        super().__init__()
        self.slots, self.interval_s = slots, interval_s

    def forward(self, calendar: Tensor) -> Tensor:
        """(..., 4) gives (..., W, 4)."""
        return calendar_of_slots(calendar, self.slots, self.interval_s)


def unused_outputs(outputs: int) -> int:
    """Columns to add to a product of so many, so that a row's bits do not depend on its place among the rows.

    Of 5 to 11 columns they do with torch's pinned build: the matrix library does a block's last rows another way.
    """
    return 16 - outputs if 4 < outputs < 16 else 0


class WidenedLinear(nn.Linear):
    """A linear map whose product has `unused_outputs` more columns, which are cut off again."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.unused = unused_outputs(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) gives (..., outputs)."""
        weight, bias = F.pad(self.weight, (0, 0, 0, self.unused)), F.pad(self.bias, (0, self.unused))
        return F.linear(x, weight, bias)[..., : self.out_features]
