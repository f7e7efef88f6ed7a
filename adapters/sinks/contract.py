"""What every sink speaks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO, NamedTuple, Protocol, runtime_checkable


class PartlyError(OSError):
    """Some lines could be handed on, the first ones; `done` says how many, and the rest is to be delivered again."""

    def __init__(self, done: int, why: str) -> None:
        super().__init__(why)
        self.done = done


class Sink(Protocol):
    """Takes lines of JSON, each at least once: after a crash the last ones may come again."""

    def deliver(self, lines: list[bytes]) -> int | None:
        """Hand on whole lines without their newlines; returns the committed length in bytes where there is one.

        Raises:
            PartlyError: Only the first of them could be delivered.
            OSError: They could not be delivered; deliver them again.
        """

    def status(self) -> Mapping[str, float]:
        """Counts since the start, such as `refused`: events that the other side does not take, which are left out."""

    def close(self) -> None:
        """Release what it holds."""


@runtime_checkable
class Repeating(Sink, Protocol):
    """A sink whose other side forgets: it is told again and again what is open."""

    @property
    def every_s(self) -> float:
        """Seconds from one telling to the next."""

    def repeat(self, lines: list[bytes]) -> None:
        """Tell again.

        Args:
            lines: The newest revision of every episode that is open and was delivered.

        Raises:
            OSError: It could not be told.
        """


class Opening(NamedTuple):
    """What a sink may be made of beside its settings."""

    committed_bytes: int | None
    """What its last successful `deliver` of any run returned; None where no run has recorded one."""
    stdout: BinaryIO
    """The process' standard output."""
