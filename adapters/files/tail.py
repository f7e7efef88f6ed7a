"""Follows files that grow, rotate, are truncated, vanish and come back."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from adapters.base import Chunk, Notice, Position, unnoticed
from adapters.files.documents import DocumentFiles
from adapters.files.generation import Generation
from adapters.files.hints import Hints
from adapters.files.known import Known
from adapters.files.lanes import Key
from adapters.files.names import Names
from adapters.files.parked import Signature, descriptor_limit
from adapters.files.succession import Succession
from adapters.source_kind import Surroundings
from adapters.text_file import AUTO

_PAUSE = 10
"""Times that a look at very many names took pass before the next."""
_HINTED_SCANS = 10
"""Looks at the names in the time between two that are due, when hints ask for them."""


class FileTail:
    """Reads a file, or all files of a glob, as they grow.

    A generation is one content of one file: it ends when its file is replaced, deleted or truncated. Each is a place,
    `NAME:PATH#NUMBER`, where PATH is where it was first met and NUMBER counts the generations of that path. A position:

        path                  absolute path under which the generation was first met
        offset                bytes of it that were consumed, always just after a newline
        lines                 lines of it that were consumed, or null where an earlier version did not count them
        head_at, head_bytes, head   where the head begins, its length and hash (`adapters.files.identity`)
        tail_bytes, tail      length and hash of the bytes just before the offset
        device, inode         hints for the order in which files are tried
        since_ns              rotated files of the path that were changed later have not been read (epoch, ns)
        header                the format's header line in force, or null

    so that after a restart the same content is found again under any name in its directory that starts with its stem.
    Of one path, generations are read one after the other: the old to its end and a grace time, then the new.
    The series of rows without one is the stem of PATH.

    A file ending in `.gz` is decompressed while it is read, once, and known by the head of what is inside; its position
    has `packed` besides (`generation.packed`). Offsets count decompressed bytes. Files compressed otherwise are passed
    over and counted. A rotated copy of a file that is followed, compressed or not, waits until that one has ended.

    Args:
        name: Name of the source, unique within its stream.
        pattern: Path or glob.
        line_bytes: Longest line; a longer one is dropped in constant memory.
        grace_s: How long a file that lost its name must stay unchanged before it counts as finished; ten times that
            ends it in any case.
        scan_every_s: Time between two looks at the names and at every file, 0 for every poll.
        hints: Between two such looks a file of which nothing is expected is polled only when these name it; and a name
            that comes or goes is looked at soon. Without them every file is polled every time.
        descriptors: Files kept open at once; the others are looked at by name, and opened when they have changed. A
            quarter of what the process may have, unless it is given.
        notice: Takes what an operator should read.
        monotonic: Clock for grace and looks.
        encoding: Of the files, see `Recoder`; offsets count bytes of UTF-8.
    """

    def __init__(
        self,
        name: str,
        pattern: str | Path,
        *,
        line_bytes: int = 1 << 20,
        grace_s: float = 5.0,
        scan_every_s: float = 1.0,
        hints: Hints | None = None,
        descriptors: int | None = None,
        notice: Notice = unnoticed,
        monotonic: Callable[[], float] = time.monotonic,
        encoding: str = AUTO,
    ) -> None:
        self.name = name
        self._notice = notice
        self._descriptors = descriptors or descriptor_limit()
        self._pending: dict[str, Key] = {}
        """Files of the last look that are still to be opened."""
        self._ambiguous: set[str] = set()
        self._names = Names(str(Path(pattern).absolute()), max(1.0, scan_every_s), encoding)
        self._known = Known(name, self._names, self._tell_ambiguous, encoding)
        self._files = Succession(self._known, line_bytes, grace_s, self._names.refuse)
        self._scan_every_s = scan_every_s
        self._hints = hints
        self._monotonic = monotonic
        self._next_scan = 0.0
        self._scan_asked = False
        self._quiet: set[str] = set()
        """Paths of which nothing is expected before a hint or a look at every file."""
        self._turn = 0

    def open(self, positions: Mapping[str, Position]) -> None:
        """Start from `positions`; those of other sources or of another shape are left aside."""
        self._known.load(positions)
        found = self._scan(self._monotonic())
        self._files.resume_unnamed(found, self._monotonic())

    def poll(self, limit_bytes: int, skip: Collection[str] = ()) -> list[Chunk]:
        """See `Source.poll`; one system call for each name at a scan and four for each file that is polled."""
        now = self._monotonic()
        self._look(now)
        if self._pending:
            self._follow(self._pending, now)
        lanes = [name for name in self._files.lanes if name not in self._quiet]
        reading = [name for name in lanes if not self._files.skipped(name, skip)]
        share = max(4096, limit_bytes // max(1, len(reading)))
        identified = (self._files.identify(self._files.lanes[name], now) for name in lanes)
        chunks = [chunk for chunk in identified if chunk is not None]
        if chunks:
            return chunks
        for step in range(len(lanes)):
            name = lanes[(self._turn + step) % len(lanes)]
            crowded = bool(self._pending) or len(self._files.lanes) > self._descriptors // 2
            signature = self._files.signature(name) if crowded else None
            chunk = self._files.next(name, share, skip, now)
            if chunk is None and signature is not None and self._files.settled(name, skip):
                self._files.park(name, signature)
            elif chunk is not None:
                chunks.append(chunk)
                limit_bytes -= len(chunk.data)
                if limit_bytes <= 0:
                    self._turn += step + 1
                    break
            elif self._hints is not None and self._files.settled(name, skip) and self._hints.covers(name):
                self._quiet.add(name)
        return chunks

    def done(self) -> bool:
        """Always False: a file may grow for ever."""
        return False

    def backlog(self) -> frozenset[str]:
        """See `Source.backlog`; a file with a successor in the queue counts, for its readings come first."""
        return frozenset(
            lane[0].place
            for lane in self._files.lanes.values()
            if lane and isinstance(lane[0], Generation) and (lane[0].unread or len(lane) > 1)
        )

    def forgotten(self) -> list[str]:
        """See `Source.forgotten`."""
        return self._known.forgotten()

    def status(self) -> dict[str, float]:
        """`up`: a file is followed under its name; `position_bytes`: of all that are followed, in lines handed out.

        `unreadable` and the like count since the start.
        """
        entries = [entry for lane in self._files.lanes.values() for entry in lane]
        read_bytes = sum(each.window.offset for each in entries if isinstance(each, Generation))
        named = sum(not isinstance(entry, Generation) or entry.leaving_at is None for entry in entries)
        return {
            "up": float(named > 0 or bool(self._files.parking)),
            "lag_bytes": float(sum(entry.lag_bytes() for entry in entries)),
            "position_bytes": float(self._files.parking.offsets + read_bytes),
            "files": float(len(entries) + len(self._files.parking)),
            "descriptors": float(len(entries)),
            "rotations": float(self._files.counts["rotations"]),
            "truncations": float(self._files.counts["truncations"]),
            "unreadable": float(self._names.unreadable),
            "compressed": float(self._names.compressed),
            "ambiguous": float(len(self._ambiguous)),
        }

    def close(self) -> None:
        """Release every descriptor."""
        self._files.close()
        if self._hints is not None:
            self._hints.close()

    def _look(self, now: float) -> None:
        """Look at the names, and then at every file, when it is time; before that heed the hints."""
        if self._hints is not None:
            hint = self._hints.drain()
            self._quiet = set() if hint.overflowed else self._quiet - hint.changed
            self._scan_asked |= hint.overflowed or any(
                name in self._files.lanes or self._names.matches(name) for name in hint.named
            )
            for name in hint.changed & self._files.parking.keys():
                with suppress(OSError):  # the next look sees that it is gone
                    self._pending[name] = Signature.of(os.stat(name)).key  # noqa: PTH116
        early_s = self._scan_every_s * (1 - 1 / _HINTED_SCANS)
        if now >= self._next_scan - (early_s if self._scan_asked else 0):
            self._scan(now)

    def _scan(self, now: float) -> Collection[str]:
        """Look which names exist, follow new ones, notice files that lost theirs; the names."""
        self._quiet.clear()
        if self._hints is not None:
            self._hints.watch(self._names.directories())
        found = self._names.look()
        took_s = self._monotonic() - now
        pause_s = max(self._scan_every_s, _PAUSE * took_s) if self._scan_every_s else 0.0
        self._next_scan, self._scan_asked = now + took_s + pause_s, False
        self._files.rehome({name: signature.key for name, signature in found.items()}, now)
        self._follow(self._files.changed(found, now), now)
        return found

    def _follow(self, keys: Mapping[str, Key], now: float) -> None:
        self._pending = self._files.follow(keys, lambda name: self._names.open(name, now), self._descriptors)

    def _tell_ambiguous(self, name: str) -> None:
        """A file begins like one that was read under another name, and is read from its start."""
        if name not in self._ambiguous:
            self._ambiguous.add(name)
            said = "file begins like one that was read under another name; it is read from its start"
            self._notice(f"{self.name} ambiguous", said, source=self.name, file=name)


def made(name: str, settings: Any, surroundings: Surroundings) -> FileTail | DocumentFiles:
    """As an entry of `sources` has it: followed line by line, or read whole where the format is a document."""
    line_bytes, notice, encoding = surroundings.line_bytes, surroundings.notice, surroundings.encoding
    if surroundings.document is not None:
        return DocumentFiles(name, settings.path, surroundings.document, notice=notice)
    return FileTail(name, settings.path, line_bytes=line_bytes, hints=Hints(), notice=notice, encoding=encoding)
