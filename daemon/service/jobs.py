"""Work that other threads want done on one thread, between two of its turns."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Generic, TypeVar

P = TypeVar("P")


class Jobs(Generic[P]):
    """A queue of calls that take a `P`; each waits in it once, however often it is posted. Its length is what waits."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[Callable[[P], None]] = queue.SimpleQueue()
        self._posted: set[Callable[[P], None]] = set()

    def __len__(self) -> int:
        return self._waiting.qsize()

    def post(self, job: Callable[[P], None]) -> None:
        """From any thread: have `job` done."""
        if job not in self._posted:
            self._posted.add(job)
            self._waiting.put(job)

    def run(self, subject: P) -> bool:
        """Do what waits, on `subject`; returns whether there was anything to do. Raises what a job raises."""
        worked = False
        while True:
            try:
                job = self._waiting.get_nowait()
            except queue.Empty:
                return worked
            self._posted.discard(job)
            job(subject)
            worked = True
