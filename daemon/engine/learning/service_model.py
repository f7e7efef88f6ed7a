"""The model in service of one stream, and scoring with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.engine.kernel.error_scale import ErrorScale, first_error_scale
from daemon.engine.kernel.slots import SlotClock
from models.bundle import Bundle
from models.combination import Contributions
from models.features import calendar
from models.scorer import Scorer, Scores


@dataclass
class ServiceModel:
    """The model in service.

    Attributes:
        champion: Its bundle, None before the first.
        promoted_slot: Slot at which it came into service.
        error_scale: Of its errors; the statistics of all series follow it.
    """

    slots: SlotClock
    champion: Bundle | None = None
    scorer: Scorer | None = None
    promoted_slot: int | None = None
    error_scale: ErrorScale = field(default_factory=first_error_scale)
    _contributions: Contributions | None = None

    def serve(self, bundle: Bundle, scorer: Scorer, slot: int) -> None:
        """Put a bundle into service."""
        self.champion, self.scorer = bundle, scorer
        self.promoted_slot = slot

    def score(
        self, x: npt.NDArray[np.float32], observed: npt.NDArray[np.bool_], slots: npt.NDArray[np.int64]
    ) -> Scores:
        """Errors and expected values of windows whose newest slots are `slots`."""
        assert self.scorer is not None
        manifest = self.scorer.manifest
        return self.scorer.score(x, observed, calendar(self.slots.local_s(slots), manifest.daily, manifest.weekly))

    def networks(
        self, x: npt.NDArray[np.float32], observed: npt.NDArray[np.bool_], slot: int
    ) -> list[tuple[str, float]]:
        """What each network of an ensemble in service adds to the error of one window; none for a single network."""
        champion = self.champion
        assert champion is not None
        if self._contributions is None or self._contributions.bundle is not champion:
            self._contributions = Contributions(champion)
        m = champion.manifest
        at = calendar(self.slots.local_s(np.array([slot], np.int64)), m.daily, m.weekly)
        return self._contributions.shares(x, observed, at)

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """JSON and arrays that `restore` continues from."""
        arrays: dict[str, npt.NDArray[Any]] = {"scale": self.error_scale.copy()}
        if self.champion is not None:
            arrays["champion"] = np.frombuffer(self.champion.to_bytes(), np.uint8)
        return {"promoted_slot": self.promoted_slot}, arrays

    def restore(self, meta: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Continue from what `state` returned."""
        self.promoted_slot = meta["promoted_slot"]
        self.error_scale[:] = arrays["scale"]
        if "champion" in arrays:
            self.champion = Bundle.from_bytes(arrays["champion"].tobytes())
            self.scorer = Scorer(self.champion)
