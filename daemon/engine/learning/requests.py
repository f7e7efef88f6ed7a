"""What a training is asked to do: windows drawn from warm-ups or from the reservoir, and what the model shall be."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from daemon.config.settings import WEEKLY_S, StreamSettings
from daemon.engine.learning import admission, reservoir
from daemon.engine.learning.subject import Subject
from daemon.engine.table.series import QUEUED, READY
from models import gate
from models.bundle import Bundle
from models.features import calendar
from models.training_request import TrainingRequest

FRESH_SERIES = 256  # series that a first training sees
FRESH_WINDOWS = 16_384  # windows that it sees


class Drawn(NamedTuple):
    """Windows to train on; N of them."""

    x: npt.NDArray[np.float32]  # (N, W, F)
    observed: npt.NDArray[np.bool_]  # (N, W)
    slot: npt.NDArray[np.int64]  # (N,) newest slot of each
    recent: int  # how many of the last are recent


class Requests:
    """Makes one stream's training requests."""

    def __init__(self, subject: Subject, settings: StreamSettings) -> None:
        self.settings = settings
        self.stream, self.table, self.reservoir, self.slots = subject

    def fresh(self, slot: int) -> TrainingRequest | None:
        """A first training on the warm-ups of up to `FRESH_SERIES` series; None when none of them has a window."""
        self._drop_empty(slot)
        queued = np.flatnonzero(self.table.rows["status"] == QUEUED)
        if not len(queued):
            return None
        spread = np.linspace(0, len(queued) - 1, min(len(queued), FRESH_SERIES))
        rows = queued[np.unique(spread.astype(np.int64))]
        x, observed, slots, _, _ = admission.windows(self.table, rows)
        most = min(FRESH_WINDOWS, reservoir.most_windows(self.table.window, self.table.width))
        if len(x) > most:
            rng = np.random.default_rng((self.settings.seed, slot))
            keep = np.sort(rng.choice(len(x), most, replace=False))
            x, observed, slots = x[keep], observed[keep], slots[keep]
        return self._request("fresh", slot, Drawn(x, observed, slots, 0), None)

    def retrain(self, slot: int, champion: Bundle, anew: bool) -> TrainingRequest | None:
        """A fine-tuning of the model in service on the reservoir, or one of its shape from random weights.

        Returns:
            The request, whose parent is that model either way; None when the reservoir is empty.
        """
        drawn = self._draw(slot)
        return self._request("fresh" if anew else "tune", slot, drawn, champion) if len(drawn.x) else None

    def _drop_empty(self, slot: int) -> None:
        """Send those back to their warm-up who fell silent while they waited, or report too rarely for one window."""
        queued = np.flatnonzero(self.table.rows["status"] == QUEUED)
        _, scored = admission.countable(self.table, queued)
        admission.wait(self.table, queued[scored == 0], slot)

    def _draw(self, slot: int) -> Drawn:
        """Windows to tune on, none that the gate will judge by."""
        r, ready = self.reservoir, int(np.count_nonzero(self.table.rows["status"] == READY))
        span = reservoir.RECENT_SLOTS * max(1, min(ready, reservoir.PER_SLOT))
        index, recent = reservoir.draw(r, span, (self.settings.seed, slot))
        if self.settings.model.gate.enabled:
            keep = ~gate.held_back(r.slot[index], self.table.window, self.settings.seed)
            index, recent = index[keep], int(np.count_nonzero(keep[len(index) - recent :]))
        return Drawn(r.x[index], r.observed[index], r.slot[index], recent)

    def _request(
        self, kind: Literal["fresh", "tune"], slot: int, drawn: Drawn, parent: Bundle | None
    ) -> TrainingRequest:
        shape = self._shape() if parent is None else _shape_of(parent)
        return TrainingRequest(
            stream=self.stream,
            slot=slot,
            seed=self.settings.seed,
            kind=kind,
            window=self.settings.model.window,
            width=self.table.width,
            interval_s=self.settings.interval,
            trained_from=self.slots.at(int(drawn.slot.min())),
            trained_to=self.slots.at(int(drawn.slot.max())),
            parent=parent,
            x=drawn.x,
            observed=drawn.observed,
            calendar=calendar(self.slots.local_s(drawn.slot), shape["daily"], shape["weekly"]),
            recent=drawn.recent,
            again=self.table.excluded.before(slot),
            **shape,
        )

    def _shape(self) -> dict[str, Any]:
        """What the settings ask of a new model; a calendar needs a warm-up that has seen it."""
        model, span_s = self.settings.model, self.settings.warm_up
        return {
            "architecture": str(model.architecture),
            "masked": model.masked,
            "copies": model.copies,
            "options": {},
            "daily": model.calendar and span_s >= 2 * 86400,
            "weekly": model.calendar and span_s >= WEEKLY_S,
        }


def _shape_of(parent: Bundle) -> dict[str, Any]:
    """A tuning keeps the shape of what it continues."""
    kept = ("architecture", "masked", "copies", "options", "daily", "weekly")
    return {name: getattr(parent.manifest, name) for name in kept}
