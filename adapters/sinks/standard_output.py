"""Events as lines of JSON on a stream, usually standard output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO

from adapters.sinks.contract import Opening


class StandardOutput:
    """Prints lines on a binary stream.

    Args:
        stream: Left open by `close`. Without a buffer of its own: a buffer that waits for its reader would be waited
            for once more when the process ends.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def deliver(self, lines: list[bytes]) -> None:
        """Write whole lines; nothing can be committed."""
        data = memoryview(b"".join(line + b"\n" for line in lines))
        while data:
            data = data[self._stream.write(data) or 0 :]

    def status(self) -> Mapping[str, float]:
        """Nothing is ever left out."""
        return {}

    def close(self) -> None:
        """Nothing to release."""


def made(settings: Any, opening: Opening) -> StandardOutput:
    """As `events.stdout` has it."""
    return StandardOutput(opening.stdout)
