"""Streams that are behind the journal: an input of theirs waits for a training, and those after it in the journal.

Nothing of a stream that waits is in memory but the input at which it stopped. The others go on; what each becomes
depends on its own inputs and outcomes only, so it makes no difference when they are applied.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from daemon.clock import wall_s
from daemon.engine.machine.engine import StepResult
from daemon.engine.messages.inputs import Batch, Input
from daemon.engine.messages.training_port import Awaiting

AHEAD_BYTES = 64 << 20
"""Most that is journaled of a stream ahead of what is applied, bytes of readings."""
AHEAD_BYTES_S = 1 << 20
"""As much of that is had for each second of a wait: a stream that rushes through a backlog waits often and briefly."""


@dataclass(slots=True)
class Work:
    """An input that is being applied to a stream.

    Attributes:
        seq: Its entry of the journal.
        item: The input.
        steps: What is left of it.
        champion: Digest of the bundle that served before.
        asked: Training whose outcome it stopped for; None before its first step.
        spent_s: Time it took so far, waits left out.
    """

    seq: int
    item: Input
    steps: Awaiting[StepResult]
    champion: str | None
    asked: str | None = None
    spent_s: float = 0.0


@dataclass(slots=True)
class Behind:
    """A stream that is behind the journal.

    Attributes:
        work: What it is at; None where its next input comes from the journal.
        through: Entry up to which all that concern it are applied, or are taken up by `entries`.
        entries: Its inputs up to there that are not applied, as the journal has them.
        since: When its present wait began, or its last one, epoch seconds.
        waits: How often it has waited since it fell behind.
        ahead: Inputs that are journaled and not applied, the one that it is at included.
        ahead_bytes: Bytes of readings in those after it.
    """

    work: Work | None
    through: int
    entries: Iterator[tuple[int, Input]] = field(default_factory=lambda: iter(()))
    monotonic: Callable[[], float] = time.monotonic
    since: float = 0.0
    waits: int = 0
    ahead: int = 1
    ahead_bytes: int = 0
    _began: float = field(init=False, default=0.0)
    _room: int = field(init=False, default=0)

    @property
    def awaits(self) -> str | None:
        """The training whose outcome it waits for; None while it makes up for what it has not applied."""
        return None if self.work is None else self.work.asked

    def wait(self) -> None:
        """A wait begins."""
        self.since, self._began = wall_s(), self.monotonic()
        self.waits += 1

    def journaled(self, item: Input) -> None:
        """One more input of it waits in the journal."""
        self.ahead += 1
        self.ahead_bytes += bytes_of(item)

    def status(self) -> dict[str, Any]:
        """What it waits for, since when, and how many inputs wait with it; `training` is None while it makes up."""
        return {"training": self.awaits, "since": self.since, "inputs": self.ahead}

    def applied(self) -> None:
        """The input it was at is applied."""
        self.work, self.ahead = None, self.ahead - 1

    def put(self, work: Work) -> None:
        """Its next input, from the journal."""
        self.work = work
        self.ahead_bytes -= bytes_of(work.item)

    def may_be_read(self, wanted: bool) -> bool:
        """Whether more of it may be journaled.

        Args:
            wanted: Whether something waits until it is behind no more, as a checkpoint does: what was journaled during
                its first wait is enough then.
        """
        if self.awaits is not None:
            self._room = min(AHEAD_BYTES, int(AHEAD_BYTES_S * (1 + self.monotonic() - self._began)))
        if wanted and (self.waits > 1 or self.awaits is None):
            return False
        return self.ahead_bytes < self._room


def bytes_of(item: Input) -> int:
    """Bytes of its readings."""
    return item.at_ms.nbytes + item.values.nbytes + item.codes.nbytes if isinstance(item, Batch) else 0
