"""Follows files that grow, rotate, are truncated, vanish and come back."""

from __future__ import annotations

import re
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from adapters.base import Chunk, Position
from adapters.generation import Generation, Opened
from adapters.identity import Window, valid
from adapters.names import Likely, Names, anything, begins_as, is_copy, later, same_file, same_path, siblings, window_of

_WAITING = 10_000
_QUEUED = 128


class FileTail:
    """Reads a file, or all files of a glob, as they grow.

    A generation is one content of one file: it ends when its file is replaced, deleted or truncated. Each is a place,
    `NAME:PATH#NUMBER`, where PATH is where it was first met and NUMBER counts the generations of that path. A position:

        path                  absolute path under which the generation was first met
        offset                bytes of it that were consumed, always just after a newline
        head_at, head_bytes, head   where the head begins, its length and hash (`adapters.identity`)
        tail_bytes, tail      length and hash of the bytes just before the offset
        device, inode         hints for the order in which files are tried
        header                the format's header line in force, or null

    so that after a restart the same content is found again under any name in its directory that starts with its stem.
    Of one path, generations are read one after the other: the old to its end and a grace time, then the new.
    The label of rows without one is the stem of PATH.

    A file ending in `.gz` is decompressed while it is read, once, and known by the head of what is inside; its position
    has `packed` besides (`generation.packed`). Offsets count decompressed bytes. Files compressed otherwise are passed
    over and counted. A rotated copy of a file that is followed, compressed or not, waits until that one has ended.

    Args:
        name: Name of the source, unique within its stream.
        pattern: Path or glob.
        line_bytes: Longest line; a longer one is dropped in constant memory.
        grace_s: How long a file that lost its name must stay unchanged before it counts as finished; ten times that
            ends it in any case.
        scan_every_s: Time between two looks for new names, 0 for every poll.
        monotonic: Clock for both.
    """

    def __init__(
        self,
        name: str,
        pattern: str | Path,
        *,
        line_bytes: int = 1 << 20,
        grace_s: float = 5.0,
        scan_every_s: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._names = Names(str(Path(pattern).absolute()), max(1.0, scan_every_s))
        self._line_bytes = line_bytes
        self._grace_s = grace_s
        self._scan_every_s = scan_every_s
        self._monotonic = monotonic
        self._lanes: dict[str, deque[Generation | Opened]] = {}
        self._waiting: dict[str, Position] = {}
        self._drained: set[str] = set()
        self._drained_ns: dict[str, int] = {}
        """When the newest file that was read to its end was changed, by path: what is as old was read."""
        self._succeeded: set[str] = set()
        """Paths of which a file was read to its end and the next one has not begun."""
        self._forgotten: list[str] = []
        self._numbers: Counter[str] = Counter()
        self._counts = Counter(dict.fromkeys(("rotations", "truncations"), 0))
        self._next_scan = 0.0
        self._turn = 0

    def open(self, positions: Mapping[str, Position]) -> None:
        """Start from `positions`; those of other sources or of another shape are left aside."""
        for place, position in positions.items():
            if place.startswith(f"{self.name}:") and valid(position):
                self._waiting[place] = dict(position)
                number = re.search(r"#(\d+)$", place)
                self._numbers[position["path"]] = max(self._numbers[position["path"]], int(number[1]) if number else 0)
        self._scan(self._monotonic())
        for path in {position["path"] for position in self._waiting.values()} - set(self._lanes):
            self._queue_siblings(path, self._lanes.setdefault(path, deque()))

    def poll(self, limit_bytes: int, skip: Collection[str] = ()) -> list[Chunk]:
        """See `Source.poll`; one system call for each name at a scan and four for each followed file at each poll."""
        now = self._monotonic()
        if now >= self._next_scan:
            self._scan(now)
        lanes = list(self._lanes)
        share = max(4096, limit_bytes // max(1, len(lanes)))
        chunks = [chunk for name in lanes if (chunk := self._identify(self._lanes[name])) is not None]
        if chunks:
            return chunks
        for step in range(len(lanes)):
            chunk = self._poll_lane(lanes[(self._turn + step) % len(lanes)], share, skip, now)
            if chunk is not None:
                chunks.append(chunk)
                limit_bytes -= len(chunk.data)
                if limit_bytes <= 0:
                    self._turn += step + 1
                    break
        return chunks

    def done(self) -> bool:
        """Always False: a file may grow for ever."""
        return False

    def backlog(self) -> frozenset[str]:
        """See `Source.backlog`; a file with a successor in the queue counts, for its readings come first."""
        return frozenset(
            lane[0].place
            for lane in self._lanes.values()
            if lane and isinstance(lane[0], Generation) and (lane[0].unread or len(lane) > 1)
        )

    def forgotten(self) -> list[str]:
        """See `Source.forgotten`."""
        told, self._forgotten = self._forgotten, []
        return told

    def status(self) -> dict[str, float]:
        """`up`: a file is followed under its name. `unreadable` and the like count since the start."""
        entries = [entry for lane in self._lanes.values() for entry in lane]
        named = sum(not isinstance(entry, Generation) or entry.leaving_at is None for entry in entries)
        return {
            "up": float(named > 0),
            "lag_bytes": float(sum(entry.lag_bytes() for entry in entries)),
            "files": float(len(entries)),
            "rotations": float(self._counts["rotations"]),
            "truncations": float(self._counts["truncations"]),
            "unreadable": float(self._names.unreadable),
            "compressed": float(self._names.compressed),
        }

    def close(self) -> None:
        """Release every descriptor."""
        for lane in self._lanes.values():
            for entry in lane:
                entry.close()
        self._lanes.clear()

    # Names

    def _scan(self, now: float) -> None:
        """Look which names exist, follow new ones, notice files that lost theirs."""
        self._next_scan = now + self._scan_every_s
        keys = self._names.keys()
        self._rehome(keys, now)
        followed = {_key(entry) for lane in self._lanes.values() for entry in lane}
        for name, key in keys.items():
            if key not in followed:
                self._follow(name, now)
                followed.add(key)
        for name in [name for name, lane in self._lanes.items() if not lane]:
            del self._lanes[name]
        for likely in (same_file, same_path, anything):  # a copy must not claim what is its original's
            for lane in self._lanes.values():
                if isinstance(opened := lane[0], Opened):
                    lane[0] = self._recognise(opened, likely) or opened

    def _rehome(self, keys: Mapping[str, tuple[int, int]], now: float) -> None:
        """Move files that were renamed within the pattern; those that lost their name begin to leave."""
        names: dict[tuple[int, int], str] = {}
        for name, key in keys.items():
            names.setdefault(key, name)
        for lane_name in list(self._lanes):
            lane = self._lanes[lane_name]
            for entry in list(lane):
                key = _key(entry)
                if keys.get(lane_name) == key or (isinstance(entry, Generation) and entry.ended):
                    if isinstance(entry, Generation):
                        entry.leaving_at = None
                elif key in names and names[key] not in self._lanes and len(lane) == 1:
                    lane.remove(entry)
                    self._lanes[names[key]] = deque([entry])
                elif isinstance(entry, Generation) and entry.leaving_at is None:
                    entry.leaving_at = entry.grown_at = now
                    self._counts["rotations"] += keys.get(lane_name) is not None

    def _follow(self, name: str, now: float) -> None:
        """Open a name and queue it behind what its path still has to give."""
        lane = self._lanes.get(name, deque())
        opened = self._names.open(name, now) if len(lane) < _QUEUED else None
        if opened is not None:
            lane.append(opened)
            self._lanes[name] = lane

    # Generations

    def _poll_lane(self, name: str, share: int, skip: Collection[str], now: float) -> Chunk | None:
        """The next chunk of a path; None when it has nothing new."""
        lane = self._lanes[name]
        while lane:
            entry = lane[0]
            try:
                if isinstance(entry, Opened):
                    chunk = self._identify(lane)
                    if chunk is not None or lane[0] is entry:
                        return chunk
                    continue
                if entry.place in skip:
                    return None
                chunk = entry.read(share, now)
                if chunk is not None:
                    self._forget_replaced(entry)
                if chunk is not None or not self._over(entry, lane, now):
                    return chunk
                chunk = None if entry.ended else entry.abandon()
            except OSError:
                self._names.refuse(entry.opened.name if isinstance(entry, Generation) else entry.name, now)
                self._retire(lane, finished=False)
                return None
            self._retire(lane, finished=True)
            if chunk is not None:
                return chunk
        return None

    def _over(self, generation: Generation, lane: Sequence[Generation | Opened], now: float) -> bool:
        """Whether a generation without new lines is finished.

        A restart knows nothing of how long it was quiet, but the newest file was changed when it was quiet already.
        """
        if generation.ended:
            return True
        if generation.unread or (generation.leaving_at is None and len(lane) == 1):
            return False
        if generation.complete or _changed(lane[-1]) - _changed(generation) >= self._grace_s:
            return True
        if generation.leaving_at is None:  # the next look at the names sees that it has lost its own
            return False
        return now - generation.grown_at >= self._grace_s or now - generation.leaving_at >= 10 * self._grace_s

    def _retire(self, lane: deque[Generation | Opened], *, finished: bool) -> None:
        """Put the first entry of a lane aside; a generation's position waits in case its content comes back."""
        generation = lane.popleft()
        if isinstance(generation, Opened):
            generation.close()
            return
        self._waiting[generation.place] = generation.position(generation.window, generation.header)
        if finished and generation.ended:
            self._counts["truncations"] += 1
            lane.appendleft(generation.opened.renewed(generation.place if generation.lost_partial else ""))
        elif finished:
            self._drained.add(generation.place)
            changed_ns = generation.opened.content.status().st_mtime_ns
            self._drained_ns[generation.path] = max(changed_ns, self._drained_ns.get(generation.path, 0))
            self._succeeded.add(generation.path)
        generation.close()
        self._resume_copy(generation.place)
        for place in list(self._waiting)[:-_WAITING]:
            self._forget(place)

    def _resume_copy(self, place: str) -> None:
        """Go on in the rotated copy of a generation that has ended, if there is one."""
        for lane in self._lanes.values():
            if lane and isinstance(opened := lane[0], Opened) and opened.copy_of == place and place in self._waiting:
                lane[0] = self._recognise(opened, anything, only=place) or opened

    def _waits_as_copy(self, opened: Opened) -> bool:
        """Whether a file is a copy of what is read under another name, so that nothing in it is new."""
        if opened.copy_of is None:
            live = [lane[0] for lane in self._lanes.values() if lane and isinstance(lane[0], Generation)]
            found = (one.place for one in live if is_copy(opened, one.path, one.window))
            opened.copy_of = next(found, None)
        return opened.copy_of is not None

    def _identify(self, lane: deque[Generation | Opened]) -> Chunk | None:
        """Replace an opened file at the head of a lane by the generation it is, or by one that must come before it."""
        if not lane or isinstance(opened := lane[0], Generation):
            return None
        found = self._recognise(opened, anything)
        if found is not None:
            lane[0] = found
            return None
        if self._waits_as_copy(opened) or self._queue_siblings(opened.name, lane) or self._queue_missed(lane):
            return None
        before = [place for place, position in self._waiting.items() if position["path"] == opened.name]
        self._numbers[opened.name] += 1
        place = f"{self.name}:{opened.name}#{self._numbers[opened.name]:06d}"
        lane[0] = fresh = self._generation(opened, place, opened.name, Window(), None)
        fresh.replaces = before  # kept until there is another position by which files rotated meanwhile are found
        return fresh.lost_before() if opened.lost_of else None

    def _recognise(self, opened: Opened, likely: Likely, only: str | None = None) -> Generation | None:
        """The generation a file continues, by its content; its position waits no longer."""
        places = self._waiting if only is None else [only]
        for place in sorted(places, key=lambda place: -self._waiting[place]["offset"]):
            position = self._waiting[place]
            window = window_of(opened, position) if likely(opened, position) else None
            if window is not None:
                del self._waiting[place]
                self._drained.discard(place)
                self._not_lost(place)
                header = position.get("header") if window.offset else None
                return self._generation(opened, place, position["path"], window, header)
        return None

    def _not_lost(self, place: str) -> None:
        """The partial line that a generation had when it was truncated is in the file where it goes on."""
        for lane in self._lanes.values():
            for entry in lane:
                if isinstance(entry, Opened) and entry.lost_of == place:
                    entry.lost_of = ""

    def _generation(self, opened: Opened, place: str, path: str, window: Window, header: str | None) -> Generation:
        return Generation(opened, place, path, window=window, header=header, line_bytes=self._line_bytes)

    def _queue_siblings(self, path: str, lane: deque[Generation | Opened]) -> bool:
        """Queue what a path still has to give under other names: the rest of a generation, and what came after it."""
        found = next(filter(None, (self._sibling_of(place) for place in self._unfinished(path))), None)
        if found is None:
            return False
        found.leaving_at = found.grown_at = self._monotonic()
        followed = {_key(entry) for entries in self._lanes.values() for entry in entries} | {_key(found)}
        lane.appendleft(found)
        for position, opened in enumerate(later(path, found.opened.content.status().st_mtime_ns), start=1):
            known = None if _key(opened) in followed else self._recognise(opened, anything)
            if known is not None:  # it has a position of its own
                known.leaving_at = known.grown_at = found.leaving_at
            if _key(opened) in followed:
                opened.close()
            else:
                lane.insert(position, known or opened)
        return True

    def _queue_missed(self, lane: deque[Generation | Opened]) -> bool:
        """Queue what was rotated away under a path between its last file and the one it has now, unread by us."""
        opened = lane[0]
        if not isinstance(opened, Opened) or opened.name not in self._succeeded:
            return False
        self._succeeded.discard(opened.name)
        followed = {_key(entry) for entries in self._lanes.values() for entry in entries}
        missed: list[Generation | Opened] = []
        for other in later(opened.name, self._drained_ns[opened.name]):
            if _key(other) in followed or begins_as(other, opened) or _changed(other) > _changed(opened):
                other.close()  # what was changed after this one comes when a later one's turn has come
            else:
                missed.append(self._recognise(other, anything) or other)
        lane.extendleft(reversed(missed))
        return bool(missed)

    def _unfinished(self, path: str) -> list[str]:
        """Places of a path whose positions wait and were not read to their end by this process."""
        return sorted(p for p, at in self._waiting.items() if at["path"] == path and p not in self._drained)

    def _sibling_of(self, place: str) -> Generation | None:
        """The generation of a waiting position, found under another name in its directory."""
        followed = {_key(entry) for entries in self._lanes.values() for entry in entries}
        for opened in siblings(self._waiting[place]["path"]):
            found = None if _key(opened) in followed else self._recognise(opened, anything, only=place)
            if found is not None:
                return found
            opened.close()
        return None

    def _forget_replaced(self, generation: Generation) -> None:
        """What a generation replaced is not needed once it has a position of its own."""
        for place in generation.replaces:
            if place in self._waiting:
                self._forget(place)
        generation.replaces = []

    def _forget(self, place: str) -> None:
        self._waiting.pop(place, None)
        self._drained.discard(place)
        self._forgotten.append(place)


def _changed(entry: Generation | Opened) -> float:
    opened = entry.opened if isinstance(entry, Generation) else entry
    return opened.content.status().st_mtime


def _key(entry: Generation | Opened) -> tuple[int, int]:
    opened = entry.opened if isinstance(entry, Generation) else entry
    return opened.device, opened.inode
