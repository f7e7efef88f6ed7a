"""Whether readings are taken in, and if not, why: what `/-/ready`, the page and systemd are told."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from daemon.presentation.words import instant

log = logging.getLogger(__name__)


class Readiness:
    """What stands in the way; each part is put right by itself. Written by the working thread alone.

    Attributes:
        phase: What is done before readings are taken in, or after; "" in between.
        no_room: That there is no room on the disk; "" where there is.
        no_time: That the wall clock is not set; "" where it is, or where nobody asks it.
    """

    def __init__(self) -> None:
        self.phase, self.no_room, self.no_time = "starting", "", ""

    @property
    def why_not(self) -> str:
        """The first thing in the way, in words; "" when readings are taken in."""
        return self.no_room or self.no_time or self.phase

    def note_room(self, error: str, where: str = "") -> None:
        """Writes found no room in `where`, as `error` says; or all were done, where it is ""."""
        if error and not self.no_room:
            log.error("no room in the state directory, readings wait", extra={"error": error})
        elif not error and self.no_room:
            log.info("room again, going on")
        self.no_room = f"no room in {where}" if error else ""

    def note_clock(self, now_ms: int, waiting: Sequence[str]) -> None:
        """These streams wait because the machine does not know the time yet; what they send is not lost."""
        at = instant(now_ms // 1000)
        if waiting and not self.no_time:
            log.error("the wall clock is not set, readings wait", extra={"shows": at, "streams": waiting})
            self.no_time = f"the wall clock shows {at}; set it, and reading begins"
        elif not waiting and self.no_time:
            log.info("the wall clock is set, going on")
            self.no_time = ""
