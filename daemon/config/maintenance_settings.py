"""Maintenance windows: periods known beforehand, once or every week, in which nobody is told."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from pydantic import field_validator, model_validator

from daemon.config.due_calendar import days_of
from daemon.config.sections import ConflictError, Section, live
from daemon.config.units import Duration, known_zone

MOST = 30
"""Windows of a stream, and as many that hold for all."""
_WEEKLY = re.compile(r"([A-Za-z, -]+?)\s+([01]\d|2[0-3]):([0-5]\d)")


class MaintenanceSettings(Section):
    series: str = live("*", "Series this is for: a pattern with * and ?, such as meter-7*.", min_length=1)
    start: str | None = live(None, "Beginning of a window, 2026-12-01T22:00; of a weekly one, of the first week.")
    end: str | None = live(None, "Its end, likewise; of a weekly one, none begins from then on.")
    weekly: str | None = live(None, "When one begins every week, days and a time: `Sun 02:00`, `Mon-Fri 22:30`.")
    duration: Duration | None = live(None, "How long one that is weekly lasts.", ge=60, le=7 * 86400)
    timezone: str | None = live(None, "Zone of these times (IANA name); none: the stream's.")
    learn: bool = live(True, "Whether readings of the window are judged and learned from; `false`: neither, ever.")

    @field_validator("start", "end")
    @classmethod
    def _instant(cls, text: str | None) -> str | None:
        if text is not None:
            try:
                datetime.fromisoformat(text)
            except ValueError:
                raise ValueError("not a date and a time; write 2026-12-01T22:00, with an offset or without") from None
        return text

    @field_validator("weekly")
    @classmethod
    def _days_and_time(cls, text: str | None) -> str | None:
        if text is not None:
            found = _WEEKLY.fullmatch(text.strip())
            try:
                days_of(found[1] if found else "")
            except ValueError:
                raise ValueError("not days and a time; write Sun 02:00 or Mon-Fri 22:30") from None
        return text

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        return name if name is None else known_zone(name)

    @model_validator(mode="after")
    def _one_kind(self) -> MaintenanceSettings:
        if self.weekly is None:
            for name in ("start", "end"):
                if getattr(self, name) is None:
                    raise ConflictError(name, "is missing; add start and end, or weekly and duration")
            if self.duration is not None:
                raise ConflictError("duration", "is for weekly windows; set end, or weekly")
        elif self.duration is None:
            raise ConflictError("duration", "is missing, but weekly is set; add duration: 4h")
        if self.start and self.end and _at(self.start, ZoneInfo("UTC")) >= _at(self.end, ZoneInfo("UTC")):
            raise ConflictError("end", f"is {self.end}, but start is {self.start}; set end after start")
        return self


class MaintenanceWindow:
    """One window, or one a week, as instants.

    A weekly one begins when the local clock shows its time, and lasts as long as it says, whatever the clock does
    meanwhile. A time that the clock skips is an hour later by it; of one that it shows twice, the first counts.

    Args:
        settings: What the configuration says.
        timezone: The stream's.
    """

    def __init__(self, settings: MaintenanceSettings, timezone: str) -> None:
        self.settings, self.zone = settings, ZoneInfo(settings.timezone or timezone)
        self._from = None if settings.start is None else _at(settings.start, self.zone)
        self._to = None if settings.end is None else _at(settings.end, self.zone)
        self._starts: dict[date, float] = {}
        found = None if settings.weekly is None else _WEEKLY.fullmatch(settings.weekly.strip())
        self._days = frozenset(days_of(found[1])) if found else frozenset()
        self._time = clock_time(int(found[2]), int(found[3])) if found else clock_time()

    @property
    def starts_at(self) -> float:
        """When the first may begin, epoch seconds; minus infinity for no bound."""
        return float("-inf") if self._from is None else self._from

    @property
    def ends_at(self) -> float:
        """When it ends, or, of a weekly one, from when on none begins, epoch seconds; infinite for never."""
        return float("inf") if self._to is None else self._to

    def is_for(self, series: str) -> bool:
        """Whether a series is meant."""
        return fnmatchcase(series, self.settings.series)

    def end_of(self, begin: int, end: int) -> float | None:
        """When the window that overlaps the instants from `begin` to before `end`, epoch seconds, ends; None for none.

        >>> settings = MaintenanceSettings(weekly="Sun 02:00", duration="2h")
        >>> MaintenanceWindow(settings, "Europe/Berlin").end_of(1774747800, 1774749600)  # the clock skips that hour
        1774753200.0
        """
        if self.settings.duration is None:
            assert self._from is not None and self._to is not None, "the settings have seen to it"
            return self._to if begin < self._to and end > self._from else None
        first = datetime.fromtimestamp(begin - self.settings.duration, UTC).astimezone(self.zone).date()
        last = datetime.fromtimestamp(end, UTC).astimezone(self.zone).date()
        ends = self._ends(first, (last - first).days + 1)
        return max((each for each in ends if begin < each and end > each - self.settings.duration), default=None)

    def next_end(self, at: int) -> float | None:
        """When the first one ends that ends after `at`, epoch seconds; None where none does within a week."""
        if self.settings.duration is None:
            return self._to if self._to is not None and self._to > at else None
        first = datetime.fromtimestamp(at - self.settings.duration, UTC).astimezone(self.zone).date()
        return min((each for each in self._ends(first, 16) if at < each < float("inf")), default=None)

    def _ends(self, first: date, days: int) -> list[float]:
        """When those that begin on these days end; infinite where none does."""
        lasts = self.settings.duration or 0
        return [self._start(first + timedelta(each)) + lasts for each in range(days)]

    def _start(self, day: date) -> float:
        """When one begins on a day, epoch seconds; infinite where none does."""
        known = self._starts.get(day)
        if known is None:
            if len(self._starts) > 10_000:
                self._starts.clear()
            known = float("inf")
            if day.weekday() in self._days:
                at = datetime.combine(day, self._time, self.zone).timestamp()
                known = at if (self._from or at) <= at and (self._to is None or at < self._to) else known
            self._starts[day] = known
        return known


def _at(text: str, zone: ZoneInfo) -> float:
    """Epoch seconds of a date and a time, local where it has no offset."""
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=zone)).timestamp()
