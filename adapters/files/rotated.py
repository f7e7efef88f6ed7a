"""What was rotated away under a path and has still to be read, before the file that has its name now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from adapters.files.directories import Directories
from adapters.files.generation import Generation, Opened
from adapters.files.known import Known
from adapters.files.lanes import Entry, Lanes, changed_ns, key, opened_of
from adapters.files.names import anything, begins_as, later, siblings, window_of
from adapters.files.recognition import Recognition


class Rotated:
    """Finds rotated files; what it gives is open, in the order in which it is to be read.

    Args:
        known: Positions of what was read before, and how far each path was read.
        lanes: The files that are followed.
        directories: Of directories.
        recognition: Makes generations of what it finds.
    """

    def __init__(self, known: Known, lanes: Lanes, directories: Directories, recognition: Recognition) -> None:
        self._known, self._lanes, self._directories, self._recognition = known, lanes, directories, recognition

    def unfinished(self, path: str, waiting: Sequence[Entry]) -> list[Entry]:
        """The rest of what was being read of a path, and what came after it.

        Args:
            path: The path.
            waiting: What waits to be read of it: the file that has its name, and before that what was rotated.
        """
        places = self._known.unfinished(path)
        found = next(filter(None, map(self._rest_of, places)), None)
        if found is not None:
            return self._with_later(found, waiting)
        since_ns = self._known.since_ns(path)
        if not places or since_ns is None:  # there is nothing, or nobody can tell
            return []
        after = self._later(path, since_ns, waiting)  # the file itself is gone
        return self._recognised(_keep(after, lambda one: not any(begins_as(one, opened_of(each)) for each in waiting)))

    def missed(self, named: Opened) -> list[Entry]:
        """What a path had between the last file of it that was read to its end and the one that has its name now."""
        newest_ns = changed_ns(named)
        return self._recognised(
            _keep(
                self._later(named.name, self._known.since_ns(named.name) or 0),
                # what was changed after this one comes when a later one's turn has come
                lambda one: not begins_as(one, named) and changed_ns(one) <= newest_ns,
            )
        )

    def elsewhere(self, generation: Generation, behind: Sequence[Entry]) -> list[Entry]:
        """A rotated file that begins with the one line that was read of a generation, and what came after it.

        That file is the generation then, and the one that was taken for it is another. A file that was followed from
        its start is another only if it was truncated, and so changed, after the copy was made.

        Args:
            generation: The generation.
            behind: What waits behind it; what was changed after the first of that is no part of it.
        """
        position = generation.position(generation.window, generation.header)
        files = later(generation.path, generation.since_ns, self._directories, encoding=self._known.encoding)
        keys = [key(one) for one in files]
        if key(generation) in keys:  # it was rotated itself, and what came after it is not it
            _keep(files[keys.index(key(generation)) :], lambda _: False)
            files = files[: keys.index(key(generation))]
        followed = self._lanes.keys_followed()
        fitting = _keep(
            files,
            lambda one: (
                key(one) not in followed
                and (generation.resumed or changed_ns(one) <= changed_ns(generation))
                and not (behind and changed_ns(one) > changed_ns(behind[0]))
                and self._known.find(one, anything) is None
                and window_of(one, position) is not None
            ),
        )
        if not fitting:
            return []
        _keep(fitting[1:], lambda _: False)
        window = window_of(fitting[0], position)
        assert window is not None, "it fitted just now"
        rest = self._recognition.instead(generation, fitting[0], window)
        return self._with_later(rest, [generation])

    def _rest_of(self, place: str) -> Generation | None:
        """The generation of a waiting position, found under another name in its directory."""
        followed = self._lanes.keys_followed()
        position = self._known.position(place)
        for opened in siblings(position["path"], self._directories, self._known.encoding):
            if not self._known.may_be(opened, position):
                opened.close()
                continue
            found = None if key(opened) in followed else self._recognition.continued(opened, anything, only=place)
            if found is not None:
                return found
            opened.close()
        return None

    def _with_later(self, generation: Generation, waiting: Sequence[Entry]) -> list[Entry]:
        """A rotated generation, and what was rotated after it."""
        others = self._later(generation.path, changed_ns(generation), waiting)
        return [generation, *self._recognised(_keep(others, lambda one: key(one) != key(generation)))]

    def _later(self, path: str, since_ns: int, waiting: Sequence[Entry] = ()) -> list[Opened]:
        """Rotated files of a path that were changed after an instant and are not followed, oldest first.

        When the first that waits lost its name, too, what was changed after that one has its turn later.
        """
        rotated_too = bool(waiting) and not _has_name(waiting[0], path)
        until_ns = changed_ns(waiting[0]) if rotated_too else None
        return _keep(
            later(path, since_ns, self._directories, self._lanes.keys_followed(), self._known.encoding),
            lambda one: until_ns is None or changed_ns(one) <= until_ns,
        )

    def _recognised(self, files: list[Opened]) -> list[Entry]:
        return [self._recognition.continued(one, anything) or one for one in files]


def _has_name(entry: Entry, path: str) -> bool:
    """Whether a file is the one that has the name now."""
    with suppress(OSError):
        status = Path(path).stat()
        return (status.st_dev, status.st_ino) == key(entry)
    return False


def _keep(files: list[Opened], wanted: Callable[[Opened], bool]) -> list[Opened]:
    """The files that are wanted; the others are closed."""
    kept = []
    for one in files:
        if wanted(one):
            kept.append(one)
        else:
            one.close()
    return kept
