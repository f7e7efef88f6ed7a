"""What a classifier sees of a reading beside its value: thirteen numbers that hold its window and the days before it.

Shapes: B windows, T newest readings that are classified, D days before.

    0   distance from the median of the T readings, in their deviations
    1   difference to the reading before, in robust deviations of these differences
    2   as 0, in deviations of all that is shown
    3   as 1, in deviations of all that is shown
    4   distance from the reading a day before, in the same
    5   distance from what is usual at its time, in the same; usual is the (lower) median of the seven days before
    6   as 5, in robust deviations of the T distances
    7   how many readings in a row are equal up to it
    8   distance of the reading a day before from the median of these, in deviations of all that is shown
    9   how many readings in a row are equal up to the one a day before
    10  whether there is one a day before
    11  distance from the reading a week before, in deviations of all that is shown
    12  whether there is one a week before

All that is shown: the T readings and those at the same times of the seven days before. Where a number is not known, it
is 0. The trainer of examples and the network that a daemon serves take the columns from here.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Inputs = Literal["value", "context", "residual"]
DAYS = 7
COLUMNS = 13


def past_slots(interval_s: int) -> int:
    """Slots before the classified readings that a window has to hold: those of seven days."""
    return DAYS * max(1, 86400 // interval_s)


def columns(values: Tensor, days: Tensor) -> Tensor:
    """What is seen of each reading.

    Args:
        values: Readings, NaN at gaps, shape (B, T).
        days: The readings one to seven days before each, NaN where there are none, shape (B, T, D).

    Returns:
        Shape (B, T, 13), of the type of `values`; finite.
    """
    unit = _deviation(torch.cat([values, days.flatten(1)], -1))  # (B, 1)
    least = 1e-9 * unit  # no scale is smaller
    level = values - _median(values)  # (B, T)
    step = values - torch.cat([values[:, :1], values[:, :-1]], -1)  # (B, T)
    yesterday, last_week = days[..., 0].contiguous(), days[..., -1].contiguous()  # (B, T) each
    beside = values - _median(days).squeeze(-1)  # (B, T)
    seen = [
        _known(level / torch.maximum(_deviation(values), least)).clamp(-6.0, 6.0),
        _far(step / _robust(step, least)),
        _far(level / unit),
        _far(step / unit),
        _far((values - yesterday) / unit),
        _far(beside / unit),
        _far(beside / _robust(beside, least)),
        _equal(values),
        _far((yesterday - _median(yesterday)) / unit),
        _equal(yesterday),
        (~yesterday.isnan()).to(values.dtype),
        _far((values - last_week) / unit),
        (~last_week.isnan()).to(values.dtype),
    ]
    return torch.stack(seen, -1)


def _known(x: Tensor) -> Tensor:
    """0 where there is nothing, or nothing to measure by."""
    return torch.nan_to_num(x, nan=0.0)


def _far(x: Tensor) -> Tensor:
    """Clipped, and shrunk to the range of the near column."""
    return _shrunk(_known(x).clamp(-12.0, 12.0))


def _shrunk(x: Tensor) -> Tensor:
    return x / 3.0


def _median(x: Tensor) -> Tensor:
    """Of what is there, over the last axis: (..., N) gives (..., 1)."""
    return torch.nanmedian(x, dim=-1, keepdim=True)[0]


def _deviation(x: Tensor) -> Tensor:
    """Standard deviation of what is there, over the last axis: (..., N) gives (..., 1)."""
    there = ~x.isnan()
    count = there.sum(-1, keepdim=True)
    mean = torch.nan_to_num(x).sum(-1, keepdim=True) / count
    return (torch.nan_to_num(x - mean).square().sum(-1, keepdim=True) / count).sqrt()


def _robust(x: Tensor, least: Tensor) -> Tensor:
    """Median distance from 0 as a standard deviation; the plain one where most are 0. (B, T) gives (B, 1)."""
    found = 1.4826 * _median(x.abs())
    return torch.where(found > 0, found, torch.maximum(_deviation(x), least))


def _equal(x: Tensor) -> Tensor:
    """Logarithm of how many readings in a row are equal up to each, 0 for one; (B, T)."""
    same = torch.cat([torch.zeros_like(x[:, :1], dtype=torch.bool), x[:, 1:] == x[:, :-1]], -1)  # (B, T)
    at = torch.arange(x.shape[1], device=x.device).expand(x.shape[0], -1)  # (B, T)
    begun = at.masked_fill(same, 0).cummax(-1)[0]  # where each row of equal readings began
    return _shrunk((at - begun).to(x.dtype).log1p())


class DaysBefore(nn.Module):
    """The readings at the same time of each of seven days before a window's newest slots.

    Args:
        window: Slots of the window (W): the newest ones (T) after those of seven days.
        interval_s: Seconds between two slots.

    Raises:
        ValueError: The window holds no more than seven days.
    """

    def __init__(self, window: int, interval_s: int) -> None:
        super().__init__()
        self.days, self.day = DAYS, past_slots(interval_s) // DAYS
        self.newest = window - DAYS * self.day
        if self.newest < 1:
            raise ValueError(
                f"a window of {window} slots has no room for a reading after the {DAYS * self.day} of seven days; "
                f"it needs both"
            )

    def forward(self, x: Tensor) -> Tensor:
        """(..., W) gives (..., T, D)."""
        first, end = self.days * self.day, x.shape[-1]  # of the T newest slots
        days = [x[..., first - d * self.day : end - d * self.day] for d in range(1, self.days + 1)]  # D of (..., T)
        return torch.stack(days, -1)


class Context(nn.Module):
    """`columns` of a window's newest slots, of one variable; arguments and errors are those of `DaysBefore`."""

    def __init__(self, window: int, interval_s: int) -> None:
        super().__init__()
        self.before = DaysBefore(window, interval_s)
        self.newest = self.before.newest

    def forward(self, x: Tensor, observed: Tensor) -> Tensor:
        """(B, W, 1) and (B, W), False at gaps, give (B, T, 13)."""
        known = x.squeeze(-1).masked_fill(~observed, float("nan"))  # (B, W)
        return columns(known[:, known.shape[1] - self.newest :], self.before(known))


class Usual(nn.Module):
    """What is usual at the time of a window's newest slots; arguments and errors are those of `DaysBefore`."""

    def __init__(self, window: int, interval_s: int) -> None:
        super().__init__()
        self.before = DaysBefore(window, interval_s)
        self.newest = self.before.newest

    def forward(self, x: Tensor, observed: Tensor) -> Tensor:
        """The (lower) median of the seven days before, 0 where none of them is known.

        Args:
            x: Windows, shape (..., W, F).
            observed: False where a slot is a gap, shape (..., W), bool.

        Returns:
            Shape (..., T, F).
        """
        known = x.masked_fill(~observed.unsqueeze(-1), float("nan"))  # (..., W, F)
        days = self.before(known.transpose(-2, -1))  # (..., F, T, D)
        return _known(_median(days).squeeze(-1)).transpose(-2, -1).contiguous()
