"""Which generation an open file is: one that was read before, a rotated copy of one, or a new one."""

from __future__ import annotations

from adapters.files.directories import Directories
from adapters.files.generation import Generation, Opened
from adapters.files.identity import Window
from adapters.files.known import Known
from adapters.files.lanes import Lanes, changed_ns
from adapters.files.names import Likely, is_copy, rotated_ns


class Recognition:
    """Makes generations of open files.

    Args:
        known: Positions of what was read before.
        lanes: The files that are followed.
        directories: Of directories.
        line_bytes: Longest line.
    """

    def __init__(self, known: Known, lanes: Lanes, directories: Directories, line_bytes: int) -> None:
        self._known, self._lanes, self._directories, self._line_bytes = known, lanes, directories, line_bytes

    def continued(self, opened: Opened, likely: Likely, only: str | None = None) -> Generation | None:
        """The generation a file continues, by its content; its position waits no longer.

        Args:
            opened: The file.
            likely: Which positions to try.
            only: The one place to try.
        """
        found = self._known.find(opened, likely, only)
        if found is None:
            return None
        self._known.claim(found.place)
        for entry in self._lanes.entries():  # its partial line is here, where it goes on
            if isinstance(entry, Opened) and entry.lost_of == found.place:
                entry.lost_of = ""
        path, since_ns = found.position["path"], found.position.get("since_ns")
        header = found.position.get("header") if found.window.offset else None
        if not isinstance(since_ns, int):  # a position of the first version: what is rotated by now is not looked for
            since_ns = self._read_until(path, opened)
        return self._generation(opened, found.place, path, found.window, header, since_ns)

    def fresh(self, opened: Opened) -> Generation:
        """A new generation of the file's path."""
        path, before = opened.name, self._known.of(opened.name)
        made = self._generation(opened, self._known.fresh(path), path, Window(), None, self._read_until(path, opened))
        made.replaces = before  # kept until there is another position by which files rotated meanwhile are found
        return made

    def instead(self, generation: Generation, opened: Opened, window: Window) -> Generation:
        """The same generation in another file."""
        path, header = generation.path, generation.header
        made = self._generation(opened, generation.place, path, window, header, generation.since_ns)
        made.replaces = generation.replaces
        return made

    def waits_as_copy(self, opened: Opened) -> bool:
        """Whether a file is a copy of what is read under another name, so that nothing in it is new."""
        if opened.copy_of is None:
            live = [lane[0] for lane in self._lanes.values() if lane and isinstance(lane[0], Generation)]
            found = (one.place for one in live if is_copy(opened, one.path, one.window))
            opened.copy_of = next(found, None)
        return opened.copy_of is not None

    def _generation(
        self, opened: Opened, place: str, path: str, window: Window, header: str | None, since_ns: int
    ) -> Generation:
        return Generation(
            opened, place, path, window=window, header=header, since_ns=since_ns, line_bytes=self._line_bytes
        )

    def _read_until(self, path: str, opened: Opened) -> int:
        """For a generation that begins: up to when rotated files of its path were read, or are none of ours."""
        newest_ns = rotated_ns(path, self._directories, self._lanes.keys_followed())
        if self._known.since_ns(path) is not None:  # what was changed after this file comes after it
            newest_ns = min(newest_ns, changed_ns(opened))
        return self._known.was_read(path, newest_ns)
