"""What every sink speaks."""

from __future__ import annotations

from typing import BinaryIO, NamedTuple, Protocol


class Sink(Protocol):
    """Takes lines of JSON, each at least once: after a crash the last ones may come again."""

    def deliver(self, lines: list[bytes]) -> int | None:
        """Hand on whole lines without their newlines; returns the committed length in bytes where there is one.

        Raises:
            OSError: They could not be delivered; deliver them again.
        """

    def close(self) -> None:
        """Release what it holds."""


class Opening(NamedTuple):
    """What a sink may be made of beside its settings."""

    committed_bytes: int | None
    """What its last successful `deliver` of any run returned; None where no run has recorded one."""
    stdout: BinaryIO
    """The process' standard output."""
