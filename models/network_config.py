"""What fixes the shapes of a network. Whoever only describes networks need not import torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

CALENDAR = 4  # columns of features.calendar
_LARGEST = 1 << 14  # of any size in a manifest, so that a made one cannot keep a machine busy
_LONGEST_S = 366 * 86400

Option = bool | int | float | str


@dataclass(frozen=True)
class NetworkConfig:
    """What fixes the shapes of a network.

    Attributes:
        window: Slots in a window (W).
        width: Variables of a reading (F).
        masked: Newest slots that are hidden from a network which must guess them; 0 hides none.
        copies: Independent copies that are averaged (K).
        interval_s: Seconds between two slots; architectures that look at the calendar of every slot need it.
        options: What an architecture has beyond that, by name, sorted; what is left out has its default.
    """

    window: int = 32
    width: int = 1
    masked: int = 4
    copies: int = 6
    interval_s: int = 1800
    options: tuple[tuple[str, Option], ...] = ()

    def __post_init__(self) -> None:
        least = min(self.window, self.width, self.masked + 1, self.copies, self.interval_s)
        if least < 1 or self.masked >= self.window:
            raise ValueError(f"no network has {self}: all must be at least 1 (masked 0), and masked below window")
        numbers = [value for _, value in self.options if not isinstance(value, str)]
        if max(self.window, self.width, self.copies, *numbers) > _LARGEST or self.interval_s > _LONGEST_S:
            raise ValueError(f"no network has {self}: sizes are at most {_LARGEST}, interval_s {_LONGEST_S}")


def options(values: Mapping[str, Option]) -> tuple[tuple[str, Option], ...]:
    """A mapping as `NetworkConfig.options`."""
    return tuple(sorted(values.items()))
