"""What all sources of peers do alike, whether peers connect or send datagrams."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from adapters.base import Notice


class PeerSource:
    """A source that is never done, holds nobody back, and forgets the places of an earlier life.

    Args:
        name: Name of the source, unique within its stream.
        notice: Takes what an operator should read.
    """

    resumes = False

    def __init__(self, name: str, notice: Notice) -> None:
        self.name, self._notice = name, notice
        self._forgotten: list[str] = []
        self._counts: Counter[str] = Counter()

    def done(self) -> bool:
        """Always False: a peer may come at any time."""
        return False

    def backlog(self) -> frozenset[str]:
        """Always empty, see `Live`."""
        return frozenset()

    def forgotten(self) -> list[str]:
        """See `Source.forgotten`."""
        told, self._forgotten = self._forgotten, []
        return told

    def parsed(self, place: str, readings: int, rejected: Mapping[str, int]) -> None:
        """Peers are not told how many of their lines were readings."""

    def _say(self, message: str, **fields: object) -> None:
        self._notice(f"{self.name} {message}", message, source=self.name, **fields)
