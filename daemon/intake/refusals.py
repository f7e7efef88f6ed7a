"""What was refused of each source's lines: counted, said once for each file and reason, and kept where it is wanted."""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import numpy as np

from adapters.base import REJECTIONS, Chunk, Readings
from adapters.format_kind import FormatChoices
from adapters.formats.diagnosis import diagnose, excerpt
from adapters.text import printable
from daemon.presentation.words import tally

log = logging.getLogger(__name__)

_MOST_SAID = 10_000
"""Pairs of file and reason that are remembered; the oldest is forgotten first."""
_KEPT_BYTES = 1024
SERIOUS = 0.05
"""Share of refused lines above which that is the first thing to say."""
_NO_FAULT = ("preamble", "missing_value")
"""Reasons that an honest file has: its title, and values that are not there."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused line.

    Attributes:
        file: Path of the file, or the place where there is none.
        line: Its number in the file from 1 on; None where that is not known.
        reason: One of `REJECTIONS`.
        text: The line, printable and short; "" where it was dropped before it was read.
        cause: The likely cause.
        key: The key that cures it, with a value; "" where no key does.
    """

    file: str
    line: int | None
    reason: str
    text: str
    cause: str
    key: str

    def words(self) -> str:
        """One line for people."""
        where = f"line {self.line}" if self.line is not None else "a line"
        shown = f" {self.text!r}" if self.text else ""
        return f"{where}{shown}: {self.reason}, {self.cause}" + (f"; set {self.key}" if self.key else "")


class Refusals:
    """Looks at what formats make of chunks.

    Args:
        choices: How the lines were to be read.
        notice: Told of the first refusal of each file and reason, with how many lines of that chunk it stands for.
        keep: Told of every refused line; None: nobody is.

    Attributes:
        counts: Refused lines since the start, by source and reason.
        first: The newest refusal that was said, by source.
    """

    def __init__(
        self,
        choices: FormatChoices,
        notice: Callable[[str, Refusal, int], None] | None = None,
        keep: Callable[[str, Refusal], None] | None = None,
    ) -> None:
        self._choices, self._notice, self.keep = choices, notice, keep
        self._said: OrderedDict[tuple[str, str], None] = OrderedDict()
        self.counts: dict[str, Counter[str]] = {}
        self.first: dict[str, Refusal] = {}

    def note(
        self, source: str, chunk: Chunk, readings: Readings, header: str | None, *, had_readings: bool = False
    ) -> None:
        """A chunk of a source, what was made of it, and the header in force after it.

        Args:
            source: Its name.
            chunk: The chunk.
            readings: Those that were let in, and what was refused.
            header: In force after it.
            had_readings: Whether the format found any, let in or not: then what stands before the header is no fault.
        """
        if not len(readings.bad_reasons) and not chunk.discarded:
            return
        counts = self.counts.setdefault(source, Counter())
        found = readings.rejected()
        counts.update(found)
        counts.update(chunk.discarded)
        if had_readings or len(readings):
            found.pop("preamble", None)
        file = printable(chunk.path or chunk.place)
        for reason, lines in found.items():
            if self._is_new(file, reason):
                self._say(source, self._at(chunk, readings, _first_of(readings, reason), header), lines)
        for reason, lines in chunk.discarded.items():
            if self._is_new(file, reason):
                said = diagnose(b"", reason, self._choices, header)
                self._say(source, Refusal(file, None, reason, "", *said), lines)
        if self.keep is not None:
            self._keep_all(source, chunk, readings)

    def _keep_all(self, source: str, chunk: Chunk, readings: Readings) -> None:
        """Tell of every refused line, whole up to a kilobyte."""
        assert self.keep is not None
        if chunk.parsed is not None:  # its rows have no text
            return
        file, line, counted = printable(chunk.path or chunk.place), chunk.first_line, 0
        for reason, end in zip(readings.bad_reasons.tolist(), readings.bad_ends.tolist(), strict=True):
            start = chunk.data.rfind(b"\n", 0, max(end - 1, 0)) + 1
            if line is not None:
                line += chunk.data.count(b"\n", counted, start)
            counted = start
            text = chunk.data[start : min(end, start + _KEPT_BYTES)].decode("utf-8", "backslashreplace")
            self.keep(source, Refusal(file, line, REJECTIONS[reason], text.rstrip("\r\n"), "", ""))

    def _is_new(self, file: str, reason: str) -> bool:
        new = (file, reason) not in self._said
        if new:
            self._said[file, reason] = None
            while len(self._said) > _MOST_SAID:
                self._said.popitem(last=False)
        return new

    def _say(self, source: str, refusal: Refusal, lines: int) -> None:
        if refusal.reason not in _NO_FAULT or refusal.key:
            self.first[source] = refusal
        if self._notice is not None:
            self._notice(source, refusal, lines)

    def _at(self, chunk: Chunk, readings: Readings, index: int, header: str | None) -> Refusal:
        """The rejected line `index` of a chunk."""
        if chunk.parsed is not None:
            return Refusal(
                chunk.path, None, REJECTIONS[int(readings.bad_reasons[index])], "", "a row of the document", ""
            )
        end = int(readings.bad_ends[index])
        start = chunk.data.rfind(b"\n", 0, max(end - 1, 0)) + 1
        raw, reason = chunk.data[start:end], REJECTIONS[int(readings.bad_reasons[index])]
        line = None if chunk.first_line is None else chunk.first_line + chunk.data.count(b"\n", 0, start)
        said = diagnose(raw, reason, self._choices, header)
        return Refusal(printable(chunk.path or chunk.place), line, reason, excerpt(raw), *said)


def _first_of(readings: Readings, reason: str) -> int:
    return int(np.argmax(readings.bad_reasons == REJECTIONS.index(reason)))


def log_refusal(source: str, refusal: Refusal, lines: int) -> None:
    """Say it in the log."""
    level = logging.INFO if refusal.reason == "missing_value" else logging.WARNING
    fields = {key: value for key, value in asdict(refusal).items() if value not in ("", None)}
    log.log(level, "lines refused", extra={"source": source, "lines": lines, **fields})


def share_refused(rejected: Mapping[str, int], readings: int) -> float:
    """Share of a file's lines that were refused, 0 to 1; a preamble before readings is none of them."""
    lines = sum(count for reason, count in rejected.items() if reason in REJECTIONS)
    lines -= rejected.get("preamble", 0) if readings else 0
    return lines / max(lines + readings, 1)


def refused_words(rejected: Mapping[str, int], readings: int, shown: Refusal | None) -> str:
    """What share of a file was refused, for which reasons, and one of its lines; "" where nothing was."""
    share = share_refused(rejected, readings)
    if not share:
        return ""
    lines = {reason: count for reason, count in rejected.items() if reason in REJECTIONS}
    example = f"; {shown.words()}" if shown is not None else ""
    return f"{100 * share:.1f} % of the lines were refused: {tally(lines)}{example}"
