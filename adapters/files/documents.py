"""Files that are documents: each read whole once it is complete or quiet, one after another, oldest first."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from adapters.base import Chunk, DocumentError, DocumentFormat, Notice, Position, Readings, unnoticed
from adapters.files.names import Names
from adapters.formats.rows import chosen, empty

_MOST_KNOWN = 10_000


@dataclass(frozen=True, slots=True)
class _Content:
    """One content of a file, as the system tells it: another length or time of change is another content."""

    path: str
    size: int
    changed_ns: int


@dataclass(slots=True)
class _Document:
    """A document that is read: its rows so far, and the piece that comes next, None at its end."""

    content: _Content
    place: str
    pieces: Iterator[Readings]
    rows: int = 0
    ahead: Readings | None = None
    failed: bool = False


class DocumentFiles:
    """Reads the documents of a path or glob.

    A document is complete when its file has not changed for `settle_s`. Its place is `NAME:PATH#NUMBER`, NUMBER
    counting the contents of that path; a replaced file is another document and read from its start. A position:

        path                 absolute path of the file
        size, changed_ns     length and time of change of the content (bytes, epoch nanoseconds)
        rows                 rows of it that were consumed
        whole                whether that is all of it

    so that after a restart a document that was begun goes on at its next row, and one read whole is left alone.
    A document that cannot be read is one rejected line, `malformed`, and said once; what was read of it before holds.

    Args:
        name: Name of the source, unique within its stream.
        pattern: Path or glob.
        fmt: How a document is read.
        settle_s: How long a file must stay unchanged.
        notice: Told why a document cannot be read.
        scan_every_s: Time between two looks at the names.
        monotonic: Clock for looks.
        wall: Epoch seconds, held against the time of a file's change.
    """

    def __init__(
        self,
        name: str,
        pattern: str | Path,
        fmt: DocumentFormat,
        *,
        settle_s: float = 5.0,
        notice: Notice = unnoticed,
        scan_every_s: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self._names = Names(str(Path(pattern).absolute()), max(1.0, scan_every_s))
        self._format, self._settle_s, self._notice = fmt, settle_s, notice
        self._scan_every_s, self._monotonic, self._wall = scan_every_s, monotonic, wall
        self._next_scan = 0.0
        self._known: dict[str, tuple[str, Position]] = {}
        """Place and position of the newest content of each path that was begun."""
        self._first_seen: dict[_Content, float] = {}
        self._found: dict[str, _Content] = {}
        self._reading: _Document | None = None
        self._forgotten: list[str] = []

    def open(self, positions: Mapping[str, Position]) -> None:
        """Start from `positions`; those of other sources or of another shape are left aside."""
        for place, position in sorted(positions.items()):
            if place.startswith(f"{self.name}:") and _is_valid(position):
                self._know(place, position)

    def poll(self, limit_bytes: int, skip: Collection[str] = ()) -> list[Chunk]:
        """See `Source.poll`; one piece of the document that is read, whatever the limit: pieces are bounded."""
        now = self._monotonic()
        if now >= self._next_scan:
            self._scan(now)
        if self._reading is None and (content := self._next(now)) is not None:
            self._begin(content)
        document = self._reading
        if document is None or document.place in skip:
            return []
        piece, document.ahead = document.ahead, self._pull(document)
        chunk = self._chunk(document, piece)
        if document.ahead is None:
            self._reading = None
        return [chunk]

    def _scan(self, now: float) -> None:
        self._next_scan = now + self._scan_every_s
        found = {}
        for path, signature in self._names.look().items():
            found[path] = _Content(path, signature.size, signature.changed_ns)
        self._found = found
        self._first_seen = {each: self._first_seen.get(each, now) for each in found.values()}

    def _next(self, now: float) -> _Content | None:
        """The oldest document that is complete and was not read; empty files are no documents yet."""
        waiting = [each for each in self._found.values() if each.size and not self._is_whole(each)]
        for each in sorted(waiting, key=lambda each: (each.changed_ns, each.path)):
            quiet_s = max(now - self._first_seen[each], self._wall() - each.changed_ns / 1e9)
            if quiet_s >= self._settle_s:
                return each
        return None

    def _is_whole(self, content: _Content) -> bool:
        _, position = self._known.get(content.path, ("", {}))
        return bool(position.get("whole")) and _content_of(position) == content

    def _begin(self, content: _Content) -> None:
        place, position = self._known.get(content.path, ("", {}))
        rows = int(position["rows"]) if position and _content_of(position) == content else None
        if rows is None:
            number = int(place.rpartition("#")[2] or 0) + 1 if place else 1
            place = f"{self.name}:{content.path}#{number:06d}"
            rows = 0
        document = _Document(content, place, iter(self._format.read(Path(content.path))), rows)
        self._know(place, _position(content, rows, whole=False))
        left = rows
        while (piece := self._pull(document)) is not None:
            count = _length(piece)
            if count > left or document.failed:
                document.ahead = _from(piece, left)
                break
            left -= count
        else:
            document.ahead = None
        if document.ahead is None:  # all its rows were consumed: what is left is to say so
            document.ahead = empty(self._format.width)
        self._reading = document

    def _pull(self, document: _Document) -> Readings | None:
        """The next piece; where the document fails, one without rows, after which there is none."""
        if document.failed:
            return None
        try:
            return next(document.pieces, None)
        except (DocumentError, OSError) as error:
            document.failed = True
            self._notice(f"document {document.place}", "document refused", file=document.content.path, error=str(error))
            return empty(self._format.width)

    def _chunk(self, document: _Document, piece: Readings | None) -> Chunk:
        assert piece is not None
        start, count = document.rows, _length(piece)
        document.rows = start + count
        content, last = document.content, document.ahead is None
        failed = last and document.failed
        self._know(document.place, _position(content, document.rows, whole=last))

        def position_at(offset: int, header: str | None) -> Position:
            return _position(content, start + offset, whole=last and offset == count)

        return Chunk(
            document.place,
            b"",
            "",
            None,
            position_at,
            {"malformed": 1} if failed else {},
            last=last,
            path=content.path,
            parsed=piece,
        )

    def _know(self, place: str, position: Position) -> None:
        path = position["path"]
        before = self._known.pop(path, None)
        if before is not None and before[0] != place:
            self._forgotten.append(before[0])
        self._known[path] = (place, position)
        gone = [each for each in self._known if each not in self._found and each != path]
        for each in gone[: max(0, len(self._known) - _MOST_KNOWN)]:
            self._forgotten.append(self._known.pop(each)[0])

    def done(self) -> bool:
        """Always False: another document may come."""
        return False

    def backlog(self) -> frozenset[str]:
        """See `Source.backlog`: the document that is read."""
        return frozenset() if self._reading is None else frozenset([self._reading.place])

    def forgotten(self) -> list[str]:
        """See `Source.forgotten`: contents that were replaced by others."""
        told, self._forgotten = self._forgotten, []
        return told

    def status(self) -> dict[str, float]:
        """`up`: there is a file; `files`: how many; `lag_bytes`: of documents that were not read to their end."""
        waiting = (each.size for each in self._found.values() if not self._is_whole(each))
        return {"up": float(bool(self._found)), "lag_bytes": float(sum(waiting)), "files": float(len(self._found))}

    def close(self) -> None:
        """Release every descriptor."""
        self._reading = None


def _position(content: _Content, rows: int, *, whole: bool) -> Position:
    return {
        "path": content.path,
        "size": content.size,
        "changed_ns": content.changed_ns,
        "rows": rows,
        "whole": whole,
        "header": None,
    }


def _content_of(position: Position) -> _Content:
    return _Content(position["path"], position["size"], position["changed_ns"])


def _is_valid(position: Any) -> bool:
    if not isinstance(position, dict) or not isinstance(position.get("path"), str):
        return False
    return all(isinstance(position.get(key), int) for key in ("size", "changed_ns", "rows"))


def _from(piece: Readings, first: int) -> Readings:
    """A piece without its first rows."""
    if not first:
        return piece
    kept, bad = piece.ends > first, piece.bad_ends > first
    left = chosen(piece, kept)
    return replace(
        left, ends=left.ends - first, bad_reasons=piece.bad_reasons[bad], bad_ends=piece.bad_ends[bad] - first
    )


def _length(piece: Readings) -> int:
    """Rows of a piece, those refused too: its last end."""
    return max((int(each[-1]) for each in (piece.ends, piece.bad_ends) if len(each)), default=0)
