"""What sources and formats speak: sources give chunks of whole lines, formats turn them into readings.

Nothing here knows the engine. A source is opened, polled and closed, and meanwhile answers four questions: what it has
seen and not read yet (`backlog`), which places are gone (`forgotten`), whether it is at its end (`done`) and how it is
(`status`). A source of peers (`Live`) is also told what is durable, and to read its certificates again. A format is one
verb, `parse`; a document, which needs a whole file, is one verb, `read`. Sinks have a contract of their own
(`adapters.sinks.contract`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Position = dict[str, Any]
"""Where a source resumes: a JSON object whose keys belong to the source. Equal positions mean equal places."""

REJECTIONS: tuple[str, ...] = (
    "malformed",  # not a row of this format: wrong number of columns, broken JSON, broken quotes
    "encoding",  # not UTF-8
    "too_long",  # a line beyond limits.line_bytes
    "binary",  # a run of NUL bytes
    "bad_time",  # the stamp cannot be read, or lies outside 1990 to 2100
    "nonexistent_time",  # a local stamp inside the hour that a DST change skips
    "bad_value",  # not a number
    "missing_value",  # empty, or the column is absent from this row
    "not_finite",  # NaN, infinity, or beyond 1e30 either way
    "width",  # a vector that is not as wide as the stream declares
    "bad_series",  # empty, longer than limits.series_bytes, or not printable
    "incomplete",  # a partial last line that was dropped (truncation, disconnect)
    "preamble",  # before the first line of a CSV that has the configured columns
    "bad_quality",  # a flag that stands for none of the qualities
    "source_series_limit",  # of a further series, when its source has brought in as many as it may
)
"""Why a line never became a reading. The index is what `Readings.bad_reasons` holds; the order never changes."""

QUALITIES: tuple[str, ...] = ("actual", "estimated", "substituted", "missing")
"""What a sender says of a value: measured, guessed, put in its place, or not there. The index is in `quality`."""


@dataclass(frozen=True, slots=True)
class Readings:
    """Parsed rows in the order of their lines, series dictionary-encoded.

    Attributes:
        series: Distinct series; `codes` index into it. At most 256 bytes of UTF-8 each.
        codes: Index into `series` for each reading, shape (N,), int32.
        at_ms: Event time in epoch milliseconds, UTC, as stamped (start or end of interval), shape (N,), int64.
        fold_s: Seconds to add when the slot of `at_ms` is taken already, because the local stamp lies in an hour
            that occurs twice; 0 elsewhere. Shape (N,), int32.
        values: One row per reading, shape (N, F), float64, within ±1e30.
        quality: Index into `QUALITIES` for each reading, shape (N,), int8; 0 where nobody says otherwise.
        ends: Offset in the chunk just after each reading's line, shape (N,), int64; never less than the one before.
            Readings of one line share its end, and go on together.
        bad_reasons: Index into `REJECTIONS` for each rejected line, shape (M,), uint8.
        bad_ends: Offset just after each rejected line, shape (M,), int64; never less than the one before.
    """

    series: list[str]
    codes: npt.NDArray[np.int32]
    at_ms: npt.NDArray[np.int64]
    fold_s: npt.NDArray[np.int32]
    values: npt.NDArray[np.float64]
    quality: npt.NDArray[np.int8]
    ends: npt.NDArray[np.int64]
    bad_reasons: npt.NDArray[np.uint8]
    bad_ends: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.codes)

    def rejected(self) -> dict[str, int]:
        """Rejected lines by reason; reasons without any are left out."""
        counts = np.bincount(self.bad_reasons, minlength=len(REJECTIONS))
        return {reason: int(n) for reason, n in zip(REJECTIONS, counts, strict=True) if n}


class Span(NamedTuple):
    """A part of a chunk that stands alone: a message.

    Attributes:
        end: Offset in the chunk just after it.
        series: Series of its rows that carry none.
    """

    end: int
    series: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole lines of one place (a file's generation, a connection), in order, each ending in a newline.

    Attributes:
        place: Names where the lines come from; chunks of one place are in order, places are independent.
        data: The lines. Never contains a partial line.
        series: Series for rows that carry none (the file's stem).
        header: The header line this place showed earlier, None at its start. A format that needs one takes it
            from `data` when this is None.
        position_at: Position after the first `offset` bytes of `data`, given the header in force there; `offset` is a
            line end, 0 or `len(data)`. Resuming from it gives exactly the bytes after `offset`.
        last: Whether nothing of its place can follow: all of a compressed file was read, or of a body that was posted.
            Such an end is the end of a delivery.
        discarded: Lines that were dropped before they reached `data` (too long, NUL runs, partial), by reason. They
            lie after the last line of `data`: only a chunk that is used up to `len(data)` has met them. A chunk may
            hold nothing else.
        order: Of two places whose rows have one event time, the one of lower order goes first, then by name.
        path: The file the lines come from; "" where they come from none.
        first_line: Number of the first line of `data` in that file, from 1 on; None where it is not known.
        parsed: The readings, where whoever reads the place has parsed them, for it is a document; `data` is empty then,
            and offsets count rows.
    """

    place: str
    data: bytes
    series: str
    header: str | None
    position_at: Callable[[int, str | None], Position]
    discarded: Mapping[str, int] = field(default_factory=dict)
    order: int = 0
    last: bool = False
    path: str = ""
    first_line: int | None = None
    parsed: Readings | None = None
    spans: tuple[Span, ...] = ()

    @property
    def length(self) -> int:
        """The offset at its end."""
        if self.parsed is None:
            return len(self.data)
        ends = (self.parsed.ends, self.parsed.bad_ends)
        return max((int(each[-1]) for each in ends if len(each)), default=0)


class Source(Protocol):
    """A place readings come from. Implementations keep no state that a `Position` does not restore.

    The contract, which `tests/conformance/test_sources.py` holds every source to: concatenating the `data` of all
    chunks of a place gives every complete line exactly once; re-opening with any position that `position_at` returned
    gives exactly the lines after it; `poll` never blocks and returns [] when nothing is new.

    Every place of a source starts with its name and a colon. The reader keeps the header in force by place: a chunk's
    `header` is the one it was opened with.
    """

    name: str

    def open(self, positions: Mapping[str, Position]) -> None:
        """Start from `positions` (place -> position); places not in it start at their beginning."""

    def poll(self, limit_bytes: int, skip: Collection[str] = ()) -> list[Chunk]:
        """New chunks, at most one per place and about `limit_bytes` in all; [] when nothing is new.

        Args:
            limit_bytes: Bytes to read, shared between places; a line longer than its share is still read whole.
            skip: Places to leave alone for now, because the reader holds enough of them.
        """

    def backlog(self) -> frozenset[str]:
        """Places with bytes that were seen by the last `poll` and not yet read; the others hold nobody back."""

    def forgotten(self) -> list[str]:
        """Places whose positions need not be kept any longer, each told once: read to their end and gone."""

    def done(self) -> bool:
        """True when no further chunk can ever come (standard input at its end); always False for a tail."""

    def status(self) -> dict[str, float]:
        """Gauges for the metrics: at least `up` (0 or 1) and `lag_bytes` (known unread bytes)."""

    def close(self) -> None:
        """Release every descriptor. Positions handed out stay valid."""


class Notice(Protocol):
    """Where an adapter says what it counted; whoever gives it one limits how often a cause is said."""

    def __call__(self, cause: str, message: str, **fields: object) -> object:
        """`cause` tells notices apart; `message` is constant, what varies is in `fields`."""


def unnoticed(cause: str, message: str, **fields: object) -> None:
    """A notice that nobody reads."""


@runtime_checkable
class Live(Source, Protocol):
    """A source of peers that cannot be asked again, but can be told what is durable.

    Each place is one connection, all datagrams, one body that was posted, or all messages of a broker. Its `backlog` is
    always empty: readings of one peer never wait for those of another, or a peer could hold all others back.

    Attributes:
        resumes: Whether its positions are kept, because a peer that sends the same again is known by its place and goes
            on from there. Where not, positions are counts and nothing resumes from them.

    A chunk's dropped lines may lie anywhere in it, or a peer that sends a long line now and then would make chunks
    small. A position within such a chunk does not pass the first of them.
    """

    resumes: bool

    @property
    def address(self) -> str:
        """Where it listens, for people: `host:port` or a path; "" while it is closed."""

    def parsed(self, place: str, readings: int, rejected: Mapping[str, int]) -> None:
        """What the format made of the last chunk of a place, dropped lines included: for those who tell their peers."""

    def committed(self, positions: Mapping[str, Position]) -> None:
        """The lines up to these positions (place -> position) are durable: tell the peers that want to know."""

    def reload(self) -> None:
        """Read again the files that the configuration names.

        Raises:
            OSError: They cannot be read, or are not what they should be; what was read before stays in force.
        """


class Format(Protocol):
    """Turns chunks into readings. Stateless: all it remembers is the header, which travels with the position."""

    def parse(self, data: bytes, series: str, header: str | None) -> tuple[Readings, str | None]:
        """Parse whole lines.

        Args:
            data: Whole lines.
            series: Series for rows that carry none.
            header: Header line in force, None when the place has shown none yet.

        Returns:
            The readings and rejections, and the header in force after `data`.
        """


Progress = Callable[[int, int], None]
"""Called with how much of a file is read, and how much there is, in any unit."""


class DocumentError(ValueError):
    """A file that cannot be read as the document it should be; the message says which, where and why."""


@runtime_checkable
class DocumentFormat(Protocol):
    """A format that needs a whole file, because what a part of it means stands elsewhere in it."""

    @property
    def width(self) -> int:
        """Number of variables of a reading."""

    def read(self, path: Path, progress: Progress = lambda done, total: None) -> Iterator[Readings]:
        """The file's readings in its order, a bounded number at a time; rejected rows are in the piece they stand in.

        Of one content the pieces are the same each time; `ends` and `bad_ends` count their rows from 1 on.

        Args:
            path: A file that nobody writes to any more; its stem names the series where the file names none.
            progress: Told how far it is.

        Raises:
            DocumentError: It is no such document, or is damaged; pieces before that hold.
            OSError: It cannot be read.
        """
