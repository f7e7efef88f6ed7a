"""The simulated clock, in the place of the functions of `time`.

Import this before anything that takes them as defaults. Each look at it takes a millisecond, so that whoever waits for
a deadline comes to it.
"""

from __future__ import annotations

import time

LOOK_S = 0.001


class Clock:
    """What the time is, while `running`.

    Attributes:
        elapsed_s: Monotonic seconds.
        wrong_s: By how much the wall clock is wrong; it is stepped by changing this.
        base_s: Wall clock at 0 monotonic seconds, epoch.
    """

    def __init__(self) -> None:
        self.elapsed_s, self.wrong_s, self.base_s = 0.0, 0.0, 0.0
        self.running = False
        self._real = (time.time, time.time_ns, time.monotonic)
        time.time = lambda: self.wall_ns() / 1e9 if self.running else self._real[0]()
        time.time_ns = lambda: self.wall_ns() if self.running else self._real[1]()
        time.monotonic = lambda: self._look() if self.running else self._real[2]()

    def real_s(self) -> float:
        """Monotonic seconds of this machine."""
        return self._real[2]()

    def start(self, base_s: float) -> None:
        """Begin to run, at a wall clock of `base_s`."""
        self.elapsed_s, self.wrong_s, self.base_s, self.running = 1000.0, 0.0, base_s - 1000.0, True

    def stop(self) -> None:
        """The time is what it is again."""
        self.running = False

    @property
    def true_s(self) -> float:
        """The time of day that a right clock shows, epoch seconds."""
        return self.base_s + self.elapsed_s

    def wall_ns(self) -> int:
        """What the wall clock shows."""
        return int((self.true_s + self.wrong_s) * 1e9)

    def _look(self) -> float:
        self.elapsed_s += LOOK_S
        return self.elapsed_s


CLOCK = Clock()
