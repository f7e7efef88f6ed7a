"""How a source fares: whether it is up, what it failed of, and when it is tried again."""

from __future__ import annotations

from collections.abc import Mapping

_PAUSES_S = (1.0, 60.0)
_FORGIVEN_S = 600.0


class Health:
    """One source's, over all its lives.

    Attributes:
        error: What it failed of, in one line; "" while it is up.
        failures: How often it has failed.
        gauges: Its status when it was last up.
    """

    def __init__(self) -> None:
        self.error, self.failures = "", 0
        self.gauges: Mapping[str, float] = {}
        self._pause_s, self._again_at = 0.0, 0.0

    def fail(self, error: Exception, now: float) -> float:
        """It went down; returns the pause before it is tried again, twice as long each time, from 1 s to a minute."""
        first, last = _PAUSES_S
        if now - self._again_at > _FORGIVEN_S:
            self._pause_s = 0.0
        self._pause_s = min(max(2 * self._pause_s, first), last)
        self._again_at = now + self._pause_s
        self.failures += 1
        self.error = " ".join(str(error).split()) or type(error).__name__
        return self._pause_s

    def is_due(self, now: float) -> bool:
        """Whether it is down, and to be tried again."""
        return bool(self.error) and now >= self._again_at

    def recover(self) -> None:
        """It is up again."""
        self.error = ""

    def status(self, gauges: Mapping[str, float] | None) -> dict[str, float]:
        """Its gauges, or the last known where it is down and gives none."""
        self.gauges = self.gauges if gauges is None else gauges
        down = {"up": 0.0, "lag_bytes": 0.0} if gauges is None else {}
        return {**self.gauges, **down, "failures": float(self.failures)}
