"""Which file of a stream in deliveries is read next, and when its delivery has ended (`arrival: batch`).

A file is a delivery. It is read as far as it goes before another is begun, those with the oldest readings first; its
delivery ends when another is begun, when it is complete and cannot grow (`Chunk.last`), or when nothing has come for
`settle`. Of peers, whose readings wait for nobody, the last two hold; a body that is posted is complete.

Whoever makes chunks says `last`; whoever has a stream's inputs in hand journals the end (`Taken.inputs`, `quiet`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from adapters.merge import WaitingChunk

Ends = tuple[bool, bool]
"""Whether a delivery ended before what was taken, and whether one ends with it."""


class Deliveries:
    """The delivery of one stream that is under way, if one is.

    Args:
        settle_s: Quiet after which it has ended.
        monotonic: Clock for that.

    Attributes:
        under_way: Whether readings have come since the last one ended.
    """

    def __init__(self, settle_s: float, monotonic: Callable[[], float]) -> None:
        self.settle_s, self._monotonic = settle_s, monotonic
        self.under_way = False
        self._begun: set[str] = set()
        """The file being read; after a restart the last one that was read of each source."""
        self._since = 0.0

    def resume(self, last: Iterable[str]) -> None:
        """One is under way; `last` are the places that were read last."""
        if not self.under_way:  # else it goes on as it is
            self.under_way, self._begun, self._since = True, set(last), self._monotonic()

    def next(self, waiting: Sequence[WaitingChunk], backlog: Collection[str], peers: Collection[str]) -> list[str]:
        """Places whose chunks are taken now, in that order.

        Args:
            waiting: What there is, in the order in which it came.
            backlog: Places that have more which is not read yet.
            peers: Sources whose readings wait for nobody.
        """
        found: list[str] = []
        for each in waiting:
            if _source(each.place) in peers:
                found.append(each.place)
                if each.last:
                    break
        if found:
            return found
        here = {each.place for each in waiting}
        if going_on := sorted(self._begun & here):
            return going_on[:1]
        if not waiting or self._begun & set(backlog):
            return []
        return [min(waiting, key=lambda each: (each.first, each.place)).place]

    def took(self, waiting: Sequence[WaitingChunk], places: Sequence[str], peers: Collection[str]) -> Ends:
        """What taking these places, which were waiting, means for the delivery."""
        if not places:
            return False, False
        before = False
        if _source(places[0]) not in peers:
            before = self.under_way and bool(self._begun) and not self._begun.issuperset(places)
            self._begun = set(places)
        self._since = self._monotonic()
        ends = any(each.last for each in waiting if each.place in places)
        self.under_way = not ends
        if ends:
            self._begun = set()
        return before, ends

    def quiet(self, backlog: Collection[str], over: bool) -> bool:
        """Whether it has ended because nothing came for so long, or because all is `over`; told once."""
        if not self.under_way or self._begun & set(backlog):
            return False
        if not over and self._monotonic() - self._since < self.settle_s:
            return False
        self.under_way, self._begun = False, set()
        return True


def _source(place: str) -> str:
    return place.split(":", 1)[0]
