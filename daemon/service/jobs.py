"""Work that other threads want done on one thread, between two of its turns."""

from __future__ import annotations

import queue
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Settled(Generic[P]):
    """A job that is to be done once `stream`, or every one where none is named, has applied all that is journaled."""

    job: Callable[[P], None]
    stream: str | None = None

    def __call__(self, subject: P) -> None:
        """Do it."""
        self.job(subject)


class Jobs(Generic[P]):
    """A queue of calls that take a `P`; each waits in it once, however often it is posted. Its length is what waits.

    Attributes:
        held: Those that might not be done yet when it was last run.
    """

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[Callable[[P], None]] = queue.SimpleQueue()
        self._posted: set[Callable[[P], None]] = set()
        self.held: list[Callable[[P], None]] = []

    def __len__(self) -> int:
        return self._waiting.qsize() + len(self.held)

    def post(self, job: Callable[[P], None]) -> None:
        """From any thread: have `job` done."""
        if job not in self._posted:
            self._posted.add(job)
            self._waiting.put(job)

    def run(self, subject: P, may: Callable[[Callable[[P], None]], bool] = lambda job: True) -> bool:
        """Do what waits and `may` be done, on `subject`; returns whether there was any. Raises what a job raises."""
        worked, held = False, self.held
        self.held = []
        while (job := held.pop(0) if held else self._next()) is not None:
            if not may(job):
                self.held.append(job)
                continue
            self._posted.discard(job)
            job(subject)
            worked = True
        return worked

    def _next(self) -> Callable[[P], None] | None:
        try:
            return self._waiting.get_nowait()
        except queue.Empty:
            return None
