"""What a state directory holds, read for API and page beside the daemon that writes it, by threads of their own.

Each question opens the database for itself and reads a bounded part of it. Where there is no database yet, there is
nothing; where it cannot be read, StoreError says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from daemon.engine.messages.events import Event
from daemon.engine.messages.inputs import Labelled
from daemon.store import EventFilter, ModelRecord, StoreMissing, StoreView, open_reader
from daemon.store.course_view import Course, CourseOf, read_course

T = TypeVar("T")

SIMILAR = 5
"""Events of the past that are shown beside one."""
LOOKED_AT = 200
"""Events of a series among which similar ones are looked for."""
COUNTED = 20_000
"""Revisions of events that are counted by day, the newest."""
IN_RANGE = 500
"""Events of a series that are shown in a range, the newest."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event with what is known of it beside.

    Attributes:
        event: Its newest revision.
        revisions: All that are recorded, oldest first.
        similar: Events of the same series (of the stream, for one of the whole stream) before it, most alike first.
        labels: Labels whose period has a part of it.
    """

    event: Event
    revisions: list[Event]
    similar: list[Event]
    labels: list[Labelled]


class Records:
    """Reads a state directory; every method may be called from any thread.

    Args:
        directory: The state directory.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def events(self, wanted: EventFilter, limit: int) -> list[tuple[int, Event]]:
        """The newest so many, the newest first, each with its row number."""
        return self._read(lambda view: view.events(wanted, newest_first=True, limit=limit), [])

    def begun_by_day(self) -> dict[int, int]:
        """How many events began on a day, by its number since 1970; of the newest `COUNTED` revisions."""
        return self._read(lambda view: view.begun_by_day(COUNTED), {})

    def event(self, event: str) -> Told | None:
        """One event by its id; None where there is none."""
        return self._read(lambda view: _told(view, event), None)

    def labels(self, stream: str | None, series: str | None) -> list[Labelled]:
        """Labels as they were given, oldest first."""
        return self._read(lambda view: view.labels(stream, series), [])

    def models(self, stream: str | None) -> list[ModelRecord]:
        """Records of trainings, oldest first."""
        return self._read(lambda view: view.models(stream), [])

    def course(self, of: CourseOf, since: int, until: int) -> Course:
        """One series in a range."""
        return read_course(self._directory, of, since, until)

    def _read(self, work: Callable[[StoreView], T], nothing: T) -> T:
        try:
            with open_reader(self._directory) as view:
                return work(view)
        except StoreMissing:
            return nothing


def _told(view: StoreView, event: str) -> Told | None:
    revisions = view.revisions(event)
    if not revisions:
        return None
    newest = revisions[-1]
    wanted = EventFilter(newest.stream, newest.series, until=newest.started_at)
    earlier = [each for _, each in view.events(wanted, newest_first=True, limit=LOOKED_AT) if each.id != event]
    earlier = [each for each in earlier if (each.series is None) == (newest.series is None)]
    alike = sorted(earlier, key=lambda each: _likeness(newest, each), reverse=True)
    labels = [] if newest.series is None else view.labels(newest.stream, newest.series)
    touching = [each for each in holding(labels) if each.since <= newest.ended_at and each.until >= newest.started_at]
    return Told(newest, revisions, [each for each in alike if _likeness(newest, each)[0]][:SIMILAR], touching)


def holding(labels: Sequence[Labelled]) -> list[Labelled]:
    """Those of labels, as they were given, that hold: none that is taken back."""
    back = {(each.stream, each.series, each.since): i for i, each in enumerate(labels) if each.kind == "none"}
    return [each for i, each in enumerate(labels) if i > back.get((each.stream, each.series, each.since), -1)]


def _likeness(one: Event, other: Event) -> tuple[float, float]:
    """How alike two events are: by their reasons, then by how close their scores are."""
    reasons, others = set(one.reasons), set(other.reasons)
    shared = len(reasons & others) / len(reasons | others)
    return shared, -abs(one.score - other.score)
