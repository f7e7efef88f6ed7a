"""When readings are due, as the configuration says it: `Mon-Fri 08:00-18:00`."""

from __future__ import annotations

import re
from collections.abc import Sequence

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
QUARTERS = 96  # of a day
_SPAN = re.compile(r"([A-Za-z, -]+?)\s+(\d\d):(\d\d)-(\d\d):(\d\d)")


def quarters(spans: Sequence[object]) -> list[bool]:
    """Which of the 672 quarters of an hour of a week are in one of these, Monday's first.

    Raises:
        ValueError: One of them says no days and times.

    >>> sum(quarters(["Mon-Fri 08:00-18:00", "Sat 22:00-02:00"]))
    216
    """
    due = [False] * (7 * QUARTERS)
    for span in spans:
        found = _SPAN.fullmatch(span.strip()) if isinstance(span, str) else None
        if found is None:
            raise ValueError(_HELP)
        begin, end = (_quarter(int(found[k]), int(found[k + 1])) for k in (2, 4))
        for day in days_of(found[1]):
            for at in range(begin, end if end > begin else end + QUARTERS):
                due[(day * QUARTERS + at) % len(due)] = True
    return due


_HELP = "not learned, always, or days and times in quarters; write [Mon-Fri 08:00-18:00, 'Sat,Sun 22:00-06:00']"


def _quarter(hour: int, minute: int) -> int:
    if minute % 15 or hour * 60 + minute > 24 * 60:
        raise ValueError(_HELP)
    return hour * 4 + minute // 15


def days_of(text: str) -> list[int]:
    """Days of the week that a text names, Monday 0: `Mon-Fri`, `Sat,Sun`; raises ValueError where it names none."""
    days = []
    for part in text.split(","):
        names = [name.strip().capitalize()[:3] for name in part.split("-")]
        if not 1 <= len(names) <= 2 or any(name not in DAYS for name in names):
            raise ValueError(_HELP)
        first, last = DAYS.index(names[0]), DAYS.index(names[-1])
        days += [day % 7 for day in range(first, last + 1 if last >= first else last + 8)]
    return days
