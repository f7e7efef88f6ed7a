"""What a stream counts of its readings and its series. Metrics show it; it is part of the state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from daemon.engine.messages.events import Reason
from daemon.engine.messages.inputs import LabelKind
from daemon.engine.table import placement

ENGINE_REJECTIONS = ("duplicate", "too_old", "future", "series_limit", "width")
_VERDICTS = {placement.DUPLICATE: "duplicate", placement.TOO_OLD: "too_old"}


@dataclass
class Counters:
    """What a stream has counted since its state began."""

    accepted: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    late: int = 0
    unscored: int = 0
    retired: int = 0
    retired_anomalies: list[int] = field(default_factory=lambda: [0] * len(Reason))
    labels: dict[str, int] = field(default_factory=lambda: dict.fromkeys(get_args(LabelKind), 0))

    def reject(self, reason: str, count: int) -> None:
        """Count readings rejected for `reason`."""
        if count:
            self.rejected[reason] = self.rejected.get(reason, 0) + count

    def place(self, verdicts: npt.NDArray[np.int8]) -> None:
        """Count readings by what `placing.place` made of them."""
        counts = np.bincount(verdicts, minlength=5)
        for verdict, reason in _VERDICTS.items():
            self.reject(reason, int(counts[verdict]))
        self.late += int(counts[placement.LATE])
        self.accepted += int(counts[placement.NEW] + counts[placement.LATE] + counts[placement.BASELINE])

    def retire(self, anomalies: npt.NDArray[Any]) -> None:
        """Count a series that is forgotten; its anomalous slots by reason, shape (6,), stay in the stream's total."""
        self.retired_anomalies = [c + int(n) for c, n in zip(self.retired_anomalies, anomalies, strict=True)]
        self.retired += 1
