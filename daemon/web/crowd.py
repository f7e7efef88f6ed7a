"""Which connections there may be: strangers are few, and whoever is of least use goes when somebody new comes.

A stranger is a connection on which nothing was answered yet that a password guards, or, where nothing is guarded,
nothing at all. The newest connection is let in and an old one closed, so that nobody who holds connections open, or
opens many, keeps out a client that asks at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Protocol

MOST = 192
"""Connections at once."""
STRANGERS = 128
"""Of them strangers: more than are accepted between a connection's coming and the reading of what it sent."""


class Rank(IntEnum):
    """Of what use a connection is; of those with the lowest the oldest goes first."""

    SILENT = 0
    """It has not asked, or not to the end."""
    HELD = 1
    """Its password was wrong, and the answer waits."""
    RESTING = 2
    """It was answered, and may ask again."""
    CHECKED = 3
    """Its password is being checked."""
    ANSWERED = 4
    """It is let in, and is being answered."""


class InCrowd(Protocol):
    """A connection."""

    known: bool
    rank: Rank

    def give_up(self) -> None:
        """Close it."""


class Crowd:
    """The connections of a server, oldest first."""

    def __init__(self) -> None:
        self._members: dict[InCrowd, None] = {}

    def __len__(self) -> int:
        return len(self._members)

    def join(self, newest: InCrowd) -> None:
        """Let a connection in; one too many is closed: the one of least use, or the newest where all are."""
        self._members[newest] = None
        strangers = [member for member in self._members if not member.known]
        if len(strangers) > STRANGERS:
            self._part(strangers, newest)
        elif len(self._members) > MOST:
            self._part(self._members, newest)

    def leave(self, member: InCrowd) -> None:
        """It is closed."""
        self._members.pop(member, None)

    def _part(self, group: Iterable[InCrowd], newest: InCrowd) -> None:
        least = min(
            (member for member in group if member is not newest), key=lambda member: member.rank, default=newest
        )
        going = newest if least.rank >= Rank.CHECKED else least
        self._members.pop(going)
        going.give_up()
