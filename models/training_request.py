"""What a training is asked for: data, made by the engine and taken by whoever trains."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from models.archive import pack, unpack
from models.bundle import Bundle
from models.network_config import CALENDAR, NetworkConfig, Option, options

ARRAYS = ("x", "observed", "calendar")
"""Those attributes of a request that have a row for each window."""


@dataclass(frozen=True, eq=False)
class TrainingRequest:
    """All that a training depends on.

    Attributes:
        slot: Slot of the stream at which the snapshot was taken.
        kind: `fresh` from random weights, `tune` continuing `parent`.
        interval_s: Seconds between two slots.
        daily, weekly: Passed on to the manifest.
        options: What the architecture has beyond the shapes, see `NetworkConfig.options`.
        trained_from, trained_to: Epoch seconds of the first and last slot of the rows; None when unknown.
        x: Scaled windows, gaps filled with the last value, shape (N, W, F), float32.
        observed: False where a slot is a gap, shape (N, W), bool.
        calendar: `features.calendar` of each window's last slot, shape (N, 4), float32.
        recent: How many of the last rows are recent; half of a tuning batch comes from them.
        again: How often what was learned by this slot has been learned anew, each time without a period more.

    Raises:
        ValueError: The arrays do not fit the shapes stated, there are no rows, or a tuning has no parent.
    """

    stream: str
    slot: int
    seed: int
    kind: Literal["fresh", "tune"]
    architecture: str
    window: int
    width: int
    masked: int
    copies: int
    interval_s: int
    daily: bool
    weekly: bool
    trained_from: int | None
    trained_to: int | None
    parent: Bundle | None
    x: npt.NDArray[np.float32]
    observed: npt.NDArray[np.bool_]
    calendar: npt.NDArray[np.float32]
    recent: int
    options: dict[str, Option] = field(default_factory=dict)
    again: int = 0

    def __post_init__(self) -> None:
        count = len(self.x)
        expected = ((count, self.window, self.width), (count, self.window), (count, CALENDAR))
        found = (self.x.shape, self.observed.shape, self.calendar.shape)
        if not count or found != expected:
            raise ValueError(f"{self.id} has arrays of {found}; at least one row and {expected} are needed")
        if self.kind == "tune" and self.parent is None:
            raise ValueError(f"{self.id} has no parent to continue from")

    @property
    def id(self) -> str:
        """Name of this training, the same in every run over the same readings."""
        return f"{self.stream}@{self.slot}-{self.kind}" + (f"-{self.again}" if self.again else "")

    @property
    def network(self) -> NetworkConfig:
        """The shapes of the network to train."""
        return NetworkConfig(self.window, self.width, self.masked, self.copies, self.interval_s, options(self.options))

    def to_bytes(self) -> bytes:
        """Canonical content."""
        arrays: dict[str, npt.NDArray[Any]] = {name: getattr(self, name) for name in ARRAYS}
        if self.parent is not None:
            arrays["parent"] = np.frombuffer(self.parent.to_bytes(), np.uint8)
        skipped = (*ARRAYS, "parent", *(() if self.again else ("again",)))
        return pack({f.name: getattr(self, f.name) for f in fields(self) if f.name not in skipped}, arrays)

    @classmethod
    def from_bytes(cls, data: bytes) -> TrainingRequest:
        """The request of its canonical content.

        Raises:
            ValueError: The bytes are not those of a request.
        """
        meta, arrays = unpack(data)
        parent = arrays.pop("parent", None)
        values: dict[str, Any] = {**meta, **arrays}
        try:
            return cls(**values, parent=None if parent is None else Bundle.from_bytes(parent.tobytes()))
        except TypeError as error:
            raise ValueError(f"the archive holds no training request: {error}") from error
