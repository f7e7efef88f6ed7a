"""Where the simulation stands in for a wait, and what it says when something is wrong."""

from __future__ import annotations

from collections.abc import Callable


class WrongError(AssertionError):
    """What must not be."""


class Hook:
    """Stands where the pipeline has a `threading.Event`: whoever waits for it lets the simulation go on."""

    def __init__(self, asked: Callable[[], bool], waited: Callable[[], None] = lambda: None) -> None:
        self._asked, self._waited = asked, waited

    def is_set(self) -> bool:
        """Whether it is set."""
        return self._asked()

    def wait(self, timeout: float | None = None) -> bool:
        """Let time pass."""
        self._waited()
        return True

    def set(self) -> None:
        """Nothing: nobody sleeps."""

    def clear(self) -> None:
        """Nothing."""
