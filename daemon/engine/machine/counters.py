"""What a stream counts of its readings and its series. Metrics show it; it is part of the state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from daemon.engine.messages.events import Reason
from daemon.engine.messages.inputs import LabelKind
from daemon.engine.table import allotment

ENGINE_REJECTIONS = ("revision", "too_old", "future", "series_limit", "width")
_VERDICTS = {allotment.REVISION: "revision", allotment.TOO_OLD: "too_old"}
_ACCEPTED = (allotment.NEW, allotment.LATE, allotment.REVISED, allotment.BASELINE)
GUESSES = ("estimated", "substituted")
"""Qualities of readings that fill their slot and are neither judged nor learned from."""


@dataclass
class Counters:
    """What a stream has counted since its state began."""

    accepted: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    repeated: int = 0
    revised: int = 0
    guessed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(GUESSES, 0))
    late: int = 0
    unscored: int = 0
    retired: int = 0
    retired_anomalies: list[int] = field(default_factory=lambda: [0] * len(Reason))
    labels: dict[str, int] = field(default_factory=lambda: dict.fromkeys(get_args(LabelKind), 0))

    def reject(self, reason: str, count: int) -> None:
        """Count readings rejected for `reason`."""
        if count:
            self.rejected[reason] = self.rejected.get(reason, 0) + count

    def judge(self, verdicts: npt.NDArray[np.int8], quality: npt.NDArray[np.int8]) -> None:
        """Count readings by what `allotment.allot` made of them, and what senders say of them, shape (N,) both."""
        counts = np.bincount(verdicts, minlength=allotment.BASELINE + 1)
        for verdict, reason in _VERDICTS.items():
            self.reject(reason, int(counts[verdict]))
        self.repeated += int(counts[allotment.REPEATED])
        self.revised += int(counts[allotment.REVISED])
        self.late += int(counts[allotment.LATE])
        self.accepted += int(sum(counts[verdict] for verdict in _ACCEPTED))
        if quality.any():
            self.guess(quality[np.isin(verdicts, _ACCEPTED)])

    def guess(self, quality: npt.NDArray[np.int8]) -> None:
        """Count accepted readings that their senders did not measure."""
        for i, name in enumerate(GUESSES):
            self.guessed[name] += int((quality == i + 1).sum())

    def retire(self, anomalies: npt.NDArray[Any]) -> None:
        """Count a series that is forgotten; its anomalous slots by reason, shape (8,), stay in the stream's total."""
        self.retired_anomalies = [c + int(n) for c, n in zip(self.retired_anomalies, anomalies, strict=True)]
        self.retired += 1

    def restore(self, meta: dict[str, Any]) -> None:
        """Go on from what `vars` of another gave. Raises TypeError when that is no such thing."""
        vars(self).update(vars(Counters(**meta)))
