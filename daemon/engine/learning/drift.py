"""Drift: does the model's error rise for good? ADWIN over a stream's closed slots, and over each series of a small one.

Errors are collected in order of arrival and looked at `every` slots later, when their slots are closed, in order of
slot and then of series. Sums are kept as whole numbers, because sums of floats depend on the order of arrival.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from river._river_rust.drift import AdaptiveWindowing

from daemon.engine.kernel.compiled import compiled
from daemon.engine.kernel.slots import NEVER

MOST_SERIES = 64  # of a stream whose series are watched one by one
MOST_EVERY = 256  # slots between two looks at most
UNIT = float(1 << 20)  # whole numbers an error of 1 is counted in
MOST_ERROR = 1024.0  # a diverging network's error is counted as this

LOOKED, EVERY = 0, 1  # fields of the clock


class Errors(NamedTuple):
    """Errors of slots not looked at yet, by slot modulo G; M is `MOST_SERIES`."""

    total: npt.NDArray[np.int64]  # (G,) sum over all series
    number: npt.NDArray[np.int64]  # (G,)
    single: npt.NDArray[np.float32]  # (G, M), NaN where the series has none
    clock: npt.NDArray[np.int64]  # last slot looked at (NEVER before there was one), slots between two looks


@compiled
def collect(errors: Errors, row: int, slot: int, error: float) -> None:
    """Keep a series' error of a slot until that is closed; what comes after the look is left out."""
    if slot <= errors.clock[LOOKED] or errors.clock[LOOKED] == NEVER:
        return
    at = slot % len(errors.total)
    bounded = min(error, MOST_ERROR)
    errors.total[at] += np.int64(bounded * UNIT)
    errors.number[at] += 1
    if row < errors.single.shape[1]:
        errors.single[at, row] = bounded


class Adwin:
    """One detector: river's compiled window, and around it what `river.drift.ADWIN` has, at its defaults.

    That class cannot be imported without all of `river.drift`, and so scipy: two seconds and 66 MB of a daemon's start.

    Attributes:
        window: The errors since the last detection, as river keeps them.
        detected: Whether the last error made it find a change.
    """

    def __init__(self) -> None:
        self.window, self.detected = _empty(), False

    @property
    def estimation(self) -> float:
        """Mean of the window; 0 where it is empty."""
        width = self.window.get_width()
        return float(self.window.get_total() / width) if width else 0.0

    def update(self, error: float) -> None:
        """Advance by one error; after a detection the window begins anew."""
        if self.detected:
            self.window = _empty()
        self.detected = bool(self.window.update(error))

    def state(self) -> npt.NDArray[np.uint8]:
        """Whether it has just detected, then the bytes of its window, which river lays out."""
        return np.frombuffer(bytes([self.detected]) + self.window.__getstate__(), np.uint8)

    def restore(self, state: npt.NDArray[np.uint8]) -> None:
        """Continue from what `state` returned; numbers are read from the bytes, and nothing is unpickled."""
        self.window.__setstate__(state[1:].tobytes())
        self.detected = bool(state[0])


class Drift:
    """The drift detectors of one stream.

    Attributes:
        errors: What compiled code writes.
        detections: Rises found so far, over all detectors.

    Source:
        Bifet and Gavalda 2007, doi:10.1137/1.9781611972771.42, as river has it, at its defaults.
    """

    def __init__(self, window: int, interval_s: int) -> None:
        every = max(1, min(MOST_EVERY, 86400 // interval_s))
        size = every + window + 2  # lateness is below the window
        self.errors = Errors(
            np.zeros(size, np.int64),
            np.zeros(size, np.int64),
            np.full((size, MOST_SERIES), np.nan, np.float32),
            np.array([NEVER, every], np.int64),
        )
        self.detections = 0
        self._stream = Adwin()
        self._series: dict[int, Adwin] = {}

    @property
    def due(self) -> int | None:
        """Slot of the next look, None before the first series is scored."""
        looked, every = self.errors.clock.tolist()
        return None if looked == NEVER else (looked // every + 1) * every

    def begin(self, slot: int) -> None:
        """Count from the slot after this one on, if nothing is counted yet."""
        if self.errors.clock[LOOKED] == NEVER:
            self.errors.clock[LOOKED] = slot

    def restart(self) -> None:
        """The errors from now on are another network's: no detector compares them with those before."""
        self._stream, self._series = Adwin(), {}
        self.errors.total[:] = self.errors.number[:] = 0
        self.errors.single[:] = np.nan

    def forget(self, row: int) -> None:
        """The series of this row is gone."""
        self._series.pop(row, None)
        if row < MOST_SERIES:
            self.errors.single[:, row] = np.nan

    def look(self, slot: int, upto: int, series: int) -> int:
        """Take in closed slots; returns how many detectors found that the error rose.

        Args:
            slot: The slot that is due.
            upto: Last closed slot, `slot` or later; looks due until then are one.
            series: Rows in use; above `MOST_SERIES`, and where there is but one, none is watched by itself.
        """
        e, (looked, every) = self.errors, self.errors.clock.tolist()
        slot = max(slot, upto - upto % every)
        if not 2 <= series <= MOST_SERIES:
            self._series = {}
        found = 0
        for at in (np.arange(max(looked + 1, slot - len(e.total) + 1), slot + 1) % len(e.total)).tolist():
            if e.number[at]:
                found += _rose(self._stream, float(e.total[at]) / UNIT / float(e.number[at]))
                if 2 <= series <= MOST_SERIES:
                    found += self._look_at_series(e.single[at, :series])
            e.total[at] = e.number[at] = 0
            e.single[at] = np.nan
        e.clock[LOOKED] = slot
        self.detections += found
        return found

    def _look_at_series(self, errors: npt.NDArray[np.float32]) -> int:
        found = 0
        for row in np.flatnonzero(~np.isnan(errors)).tolist():
            if row not in self._series:
                self._series[row] = Adwin()
            found += _rose(self._series[row], float(errors[row]))
        return found

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """JSON and arrays that `restore` continues from."""
        arrays: dict[str, npt.NDArray[Any]] = dict(self.errors._asdict())
        arrays["stream"] = self._stream.state()
        for row, detector in sorted(self._series.items()):
            arrays[f"series/{row}"] = detector.state()
        return {"detections": self.detections}, arrays

    def restore(self, meta: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Continue from what `state` returned."""
        self.detections = meta["detections"]
        for name, own in self.errors._asdict().items():
            own[...] = arrays[name]
        self._stream = _restored(arrays["stream"])
        names = [name for name in arrays if name.startswith("series/")]
        self._series = {int(name.removeprefix("series/")): _restored(arrays[name]) for name in names}


def _empty() -> AdaptiveWindowing:
    return AdaptiveWindowing(delta=0.002, clock=32, max_buckets=5, min_window_length=5, grace_period=10)


def _rose(detector: Adwin, error: float) -> int:
    """Advance a detector by one error: 1 when it finds that the mean has risen, else 0."""
    before = detector.estimation
    detector.update(error)
    return int(detector.detected and detector.estimation > before)


def _restored(state: npt.NDArray[np.uint8]) -> Adwin:
    detector = Adwin()
    detector.restore(state)
    return detector
