"""Refused lines kept in a file, to be looked at and sent again: bounded, rotated, and never in the way."""

from __future__ import annotations

import logging
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import orjson

from daemon.clock import wall_s
from daemon.config.settings import RejectsSettings
from daemon.intake.refusals import Refusal
from daemon.presentation.words import instant
from daemon.runtime.logs import RateLimited

log = logging.getLogger(__name__)


class RejectsFile:
    """Appends a JSON line for each refused line; when the file is full it is renamed to `FILE.1`, that to `FILE.2`.

    What cannot be written is left out: readings do not wait for it. A restart may write a line again.

    Args:
        settings: Where to, and how much.
    """

    def __init__(self, settings: RejectsSettings) -> None:
        assert settings.file is not None
        self._path, self._most, self._kept = settings.file, settings.max_bytes, settings.keep
        self._file: BinaryIO | None = None
        self._size = 0
        self._notices = RateLimited(log)

    def write(self, source: str, refusal: Refusal) -> None:
        """Keep a line."""
        row = {
            "at": instant(int(wall_s())),
            "source": source,
            "file": refusal.file,
            "line": refusal.line,
            "reason": refusal.reason,
            "text": refusal.text,
        }
        try:
            self._append(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        except OSError as error:
            self.close()
            self._notices.warning("rejects", "refused lines are not kept", file=str(self._path), error=str(error))

    def _append(self, line: bytes) -> None:
        if self._file is None:
            self._file = self._path.open("ab", buffering=0)
            self._size = self._file.tell()
        if self._size and self._size + len(line) > self._most:
            self._rotate()
        self._file.write(line)
        self._size += len(line)

    def _rotate(self) -> None:
        self.close()
        names = [self._path, *(Path(f"{self._path}.{number}") for number in range(1, self._kept + 1))]
        for old, new in reversed(list(pairwise(names))):
            if old.exists():
                old.replace(new)
        self._file, self._size = self._path.open("wb", buffering=0), 0

    def close(self) -> None:
        """Release the descriptor."""
        if self._file is not None:
            self._file.close()
            self._file = None
