"""In which order the files of each path are read: the old to its end, what was rotated away after it, then the new."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence

from adapters.base import Chunk
from adapters.files.directories import Directories
from adapters.files.generation import Generation, Opened
from adapters.files.known import Known
from adapters.files.lanes import Entry, Key, Lanes, changed_ns, key, leave
from adapters.files.names import anything, same_file, same_path
from adapters.files.parked import Parked, Parking, Signature
from adapters.files.recognition import Recognition
from adapters.files.rotated import Rotated
from adapters.files.rotation import rotated_of

_QUEUED = 128


class Succession:
    """Reads the first file of each lane, and decides what comes after it.

    Args:
        known: Positions of what was read before.
        line_bytes: Longest line.
        grace_s: How long a file that lost its name must stay unchanged before it counts as finished; ten times that
            ends it in any case.
        refused: Called with name and time of a file that could not be read.

    Attributes:
        lanes: The files that are open.
        parking: Those that keep no descriptor.
        counts: Rotations and truncations that were noticed.
    """

    def __init__(self, known: Known, line_bytes: int, grace_s: float, refused: Callable[[str, float], None]) -> None:
        self.lanes, directories = Lanes(), Directories()
        self.parking = Parking()
        self.counts = Counter(dict.fromkeys(("rotations", "truncations"), 0))
        self._known = known
        self._recognition = Recognition(known, self.lanes, directories, line_bytes)
        self._rotated = Rotated(known, self.lanes, directories, self._recognition)
        self._grace_s, self._refused = grace_s, refused
        self._succeeded: set[str] = set()
        """Paths of which a file was read to its end and the next one has not begun."""

    def rehome(self, keys: Mapping[str, Key], now: float) -> None:
        """Move files that were renamed within the pattern; those that lost their name begin to leave.

        Args:
            keys: Device and inode of each file there is, by name.
            now: The time.
        """
        names: dict[Key, str] = {}
        for name, each in keys.items():
            names.setdefault(each, name)
        for lane_name in list(self.lanes):
            lane = self.lanes[lane_name]
            for entry in list(lane):
                new_name = names.get(key(entry))
                if keys.get(lane_name) == key(entry) or (isinstance(entry, Generation) and entry.ended):
                    if isinstance(entry, Generation):
                        entry.leaving_at = None
                elif new_name is not None and new_name not in self.lanes and len(lane) == 1:
                    lane.remove(entry)
                    self.lanes[new_name] = deque([entry])
                elif isinstance(entry, Generation) and entry.leaving_at is None:
                    leave(entry, now)
                    self.counts["rotations"] += keys.get(lane_name) is not None

    def changed(self, found: Mapping[str, Signature], now: float) -> dict[str, Key]:
        """The files that are to be opened; what was parked under a name that is gone is looked for elsewhere."""
        for name in [name for name in self.parking if name not in found]:
            parked = self.parking.fetch(name)
            lane = self.lanes.setdefault(name, deque())
            if parked.offset and not _queue(lane, self._rotated.unfinished(parked.path, lane), now):
                self._known.keep(parked.place, self._known.position(parked.place), drained=True)
                self._known.was_read(parked.path, parked.signature.changed_ns)
                self._succeeded.add(parked.path)
        return {
            name: signature.key
            for name, signature in found.items()
            if name not in self.parking or self.parking[name].signature != signature
        }

    def follow(self, keys: Mapping[str, Key], open_file: Callable[[str], Opened | None], limit: int) -> dict[str, Key]:
        """Open what is not followed yet, and queue it behind what its path still has to give.

        Returns:
            What was left for later, because no more than `limit` are to be open.
        """
        followed = self.lanes.keys_followed()
        names = list(keys)
        room = limit - len(followed)
        for i, name in enumerate(names):
            if keys[name] in followed:
                continue
            if room <= 0:
                self._tell_apart()
                return {name: keys[name] for name in names[i:]}
            for path in (name, *(self.parking.name_of(path) for path in rotated_of(name))):
                if path is not None and (path == name or path in self.parking):
                    key = keys[name] if path == name else self.parking[path].signature.key
                    room -= self._open(path, key, followed, open_file)
        self._tell_apart()
        return {}

    def _open(self, name: str, key: Key, followed: set[Key], open_file: Callable[[str], Opened | None]) -> bool:
        """Open a file, of which a copy may have come; whether that was done."""
        followed.add(key)
        if name in self.parking and not self.parking.fetch(name).offset:
            self._succeeded.add(name)  # something may have come and gone in it
        lane = self.lanes.get(name, deque())
        opened = open_file(name) if len(lane) < _QUEUED else None
        if opened is None:
            return False
        lane.append(opened)
        self.lanes[name] = lane
        return True

    def _tell_apart(self) -> None:
        """Which of the opened files continue what was read; a copy must not claim what is its original's."""
        for name in [name for name, lane in self.lanes.items() if not lane]:
            del self.lanes[name]
        for likely in (same_file, same_path, anything):
            for lane in self.lanes.values():
                if isinstance(first := lane[0], Opened):
                    lane[0] = self._recognition.continued(first, likely) or first

    def park(self, name: str, signature: Signature) -> None:
        """Give back the descriptor of a file that is settled, and was so described before it was last looked at."""
        generation = self.lanes.pop(name)[0]
        assert isinstance(generation, Generation)
        if generation.window.offset:
            position = generation.position(generation.window, generation.header)
            self._known.keep(generation.place, position, drained=False)
        offset = generation.window.offset
        self.parking.put(name, Parked(generation.place, generation.path, signature, offset))
        generation.close()

    def signature(self, name: str) -> Signature | None:
        """What the system says of the only file of a lane, if it may be parked."""
        lane = self.lanes[name]
        if len(lane) != 1 or not isinstance(only := lane[0], Generation) or only.leaving_at is not None or only.unread:
            return None
        if any(isinstance(entry, Opened) and entry.copy_of == only.place for entry in self.lanes.entries()):
            return None
        status = only.opened.content.status()
        fits = (status.st_dev, status.st_ino) == key(only) and status.st_nlink > 0
        return Signature.of(status) if fits else None

    def resume_unnamed(self, named: Collection[str], now: float) -> None:
        """Follow what the paths without a file had, and what came after it, under the names they were rotated to.

        Args:
            named: The paths with one.
            now: The time.
        """
        for path in self._known.paths() - set(self.lanes) - set(named):
            lane = self.lanes.setdefault(path, deque())
            _queue(lane, self._rotated.unfinished(path, lane), now)

    def next(self, name: str, share: int, skip: Collection[str], now: float) -> Chunk | None:
        """The next chunk of a path; None when it has nothing new."""
        lane = self.lanes[name]
        while lane:
            entry = lane[0]
            try:
                if isinstance(entry, Opened):
                    chunk = self.identify(lane, now)
                    if chunk is not None or lane[0] is entry:
                        return chunk
                    continue
                if entry.place in skip:
                    return None
                if entry.ambiguous and entry.grown and self._mistaken(entry, lane, now):
                    continue
                begins = entry.was_empty and not entry.window.offset
                chunk = entry.read(share, now)
                if chunk is not None and begins and self._preceded(entry, lane, now):
                    continue
                if chunk is not None:
                    self._forget_replaced(entry)
                if chunk is not None or not self._over(entry, lane, now):
                    return chunk
                if entry.ambiguous and not entry.ended and self._mistaken(entry, lane, now):
                    continue
                chunk = None if entry.ended else entry.abandon()
            except OSError:
                self._refused(entry.opened.name if isinstance(entry, Generation) else entry.name, now)
                self._retire(lane, finished=False)
                return None
            self._retire(lane, finished=True)
            if chunk is not None:
                return chunk
        return None

    def identify(self, lane: deque[Entry], now: float) -> Chunk | None:
        """Replace an opened file at the head of a lane by the generation it is, or by one that must come before it."""
        if not lane or isinstance(opened := lane[0], Generation):
            return None
        found = self._recognition.continued(opened, anything)
        if found is not None:
            lane[0] = found
            return None
        if self._recognition.waits_as_copy(opened):
            return None
        if _queue(lane, self._rotated.unfinished(opened.name, lane), now):
            return None
        if opened.name in self._succeeded:
            self._succeeded.discard(opened.name)
            if _queue(lane, self._rotated.missed(opened), now):
                return None
        lane[0] = fresh = self._recognition.fresh(opened)
        return fresh.lost_before() if opened.lost_of else None

    def settled(self, name: str, skip: Collection[str]) -> bool:
        """Whether nothing is to be expected of a path before its one file changes; not known of what was skipped."""
        lane = self.lanes[name]
        if len(lane) != 1 or not isinstance(only := lane[0], Generation) or only.place in skip:
            return False
        return only.leaving_at is None and not only.unread and not only.ended

    def skipped(self, name: str, skip: Collection[str]) -> bool:
        """Whether a path's first file is one of those to leave alone."""
        lane = self.lanes[name]
        return bool(lane) and isinstance(first := lane[0], Generation) and first.place in skip

    def close(self) -> None:
        """Release every descriptor."""
        for entry in self.lanes.entries():
            entry.close()
        self.lanes.clear()
        self.parking.clear()

    def _mistaken(self, generation: Generation, lane: deque[Entry], now: float) -> bool:
        """Whether a file of which one line was read is not the one it was taken for; both are queued then."""
        return _put_before(generation, self._rotated.elsewhere(generation, list(lane)[1:]), lane, now)

    def _preceded(self, generation: Generation, lane: deque[Entry], now: float) -> bool:
        """Whether other content came and was rotated away before the first that was read of a file seen empty.

        That is queued first, and the file read again: looking before it is read would miss what is rotated in between.
        """
        if generation.opened.content.fixed:
            return False
        return _put_before(generation, self._rotated.missed(generation.opened), lane, now)

    def _over(self, generation: Generation, lane: Sequence[Entry], now: float) -> bool:
        """Whether a generation without new lines is finished.

        A restart knows nothing of how long it was quiet, but the newest file was changed when it was quiet already.
        """
        if generation.ended:
            return True
        if generation.unread or (generation.leaving_at is None and len(lane) == 1):
            return False
        if generation.complete or changed_ns(lane[-1]) - changed_ns(generation) >= self._grace_s * 1e9:
            return True
        if generation.leaving_at is None:  # the next look at the names sees that it has lost its own
            return False
        return now - generation.grown_at >= self._grace_s or now - generation.leaving_at >= 10 * self._grace_s

    def _retire(self, lane: deque[Entry], *, finished: bool) -> None:
        """Put the first entry of a lane aside; a generation's position waits in case its content comes back."""
        generation = lane.popleft()
        if isinstance(generation, Opened):
            generation.close()
            return
        position = generation.position(generation.window, generation.header)
        self._known.keep(generation.place, position, drained=finished and not generation.ended)
        if finished and generation.ended:
            self.counts["truncations"] += 1
            lane.appendleft(generation.opened.renewed(generation.place if generation.lost_partial else ""))
        elif finished:
            self._known.was_read(generation.path, changed_ns(generation))
            self._succeeded.add(generation.path)
        generation.close()
        self._resume_copy(generation.place)

    def _resume_copy(self, place: str) -> None:
        """Go on in the rotated copy of a generation that has ended, if there is one."""
        for lane in self.lanes.values():
            if lane and isinstance(first := lane[0], Opened) and first.copy_of == place:
                lane[0] = self._recognition.continued(first, anything, only=place) or first

    def _forget_replaced(self, generation: Generation) -> None:
        """What a generation replaced is needed until its own position tells as much."""
        if generation.window.offset:
            gone = [one for one in generation.replaces if generation.window.head or not self._known.has_head(one)]
            for place in gone:
                self._known.forget(place)
            generation.replaces = [one for one in generation.replaces if one not in gone]


def _put_before(generation: Generation, entries: Sequence[Entry], lane: deque[Entry], now: float) -> bool:
    """Have the file of the first generation of a lane told apart again after others; whether there are any."""
    if entries:
        lane[0] = generation.opened.renewed("")
        generation.close()
    return _queue(lane, entries, now)


def _queue(lane: deque[Entry], entries: Sequence[Entry], now: float) -> bool:
    """Put files that have lost their name at the head of a lane; whether there are any."""
    for entry in entries:
        leave(entry, now)
    lane.extendleft(reversed(entries))
    return bool(entries)
