"""Texts of a date and a clock: the parts they name, without a zone applied. ISO 8601 and its kin, and given patterns.

A given pattern has the directives of C's `strptime`, read without a locale: names of months and days are English, in
any case, whole or cut to three letters. A space stands for one or more blanks, and a `.` before `%f` for a point or a
comma that may be missing with its fraction, as Python writes a whole second.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LONG = ("uary", "ruary", "ch", "il", "", "e", "y", "ust", "tember", "ober", "ember", "ember")
_MONTH = "|".join(f"{m}(?:{rest})?" if rest else m for m, rest in zip(_MONTHS, _LONG, strict=True)) + "|sept"
_DAY = "(?:mon|tue(?:s)?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?"
_ZONE = (
    r"(?P<utc>Z)|(?:UTC|GMT)?(?P<sign>[+-])(?P<zone_h>\d\d?)(?::?(?P<zone_m>\d\d))?"
    r"|(?P<zone>[A-Z]{2,5}|[A-Z][A-Z_]+(?:/[A-Z0-9_+-]+){1,2})"
)
_CLOCK = (
    r"(?:(?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?"
    r"|(?P<hour2>\d\d)(?P<minute2>\d\d)(?:(?P<second2>\d\d)(?:[.,]?(?P<fraction2>\d+))?)?)"
)
_TAIL = rf" *(?:{_ZONE})?(?:\[[^\]]*\])?"
ISO = re.compile(
    rf"(?P<year>\d{{4}})(?P<mark>[-/.])(?P<month>\d\d?)(?P=mark)(?P<day>\d\d?)(?:(?:T| +){_CLOCK}{_TAIL})?",
    re.ASCII | re.IGNORECASE,
)
"""`2024-05-01T10:30:00.25+01:00` and the like: year first, so that no part can be taken for another."""
COMPACT = re.compile(
    rf"(?P<year>\d{{4}})(?P<month>\d\d)(?P<day>\d\d)(?:(?:T| *){_CLOCK}{_TAIL})?", re.ASCII | re.IGNORECASE
)
"""`20240501`, `202405011030`, `20240501T103000Z`."""

_DIRECTIVES: Mapping[str, str] = {
    "Y": r"(?P<year>\d{4})",
    "y": r"(?P<short_year>\d\d)",
    "m": r"(?P<month>\d\d?)",
    "d": r"(?P<day>\d\d?)",
    "e": r" ?(?P<day>\d\d?)",
    "j": r"(?P<day_of_year>\d{1,3})",
    "b": rf"(?P<month_name>{_MONTH})\.?",
    "a": rf"{_DAY}\.?,?",
    "H": r"(?P<hour>\d\d?)",
    "I": r"(?P<half_hour>\d\d?)",
    "p": r"\s*(?P<half>[ap])\.?m\.?",
    "M": r"(?P<minute>\d\d?)",
    "S": r"(?P<second>\d\d?)",
    "f": r"(?P<fraction>\d+)",
    "z": rf"\s*(?:{_ZONE})",
    "G": r"(?P<iso_year>\d{4})",
    "V": r"(?P<iso_week>\d\d?)",
    "u": r"(?P<iso_day>[1-7])",
    "U": r"(?P<week_u>\d\d?)",
    "W": r"(?P<week_w>\d\d?)",
    "w": r"(?P<week_day>[0-6])",
    "%": "%",
}
_SAME = {"B": "b", "h": "b", "A": "a", "Z": "z", "k": "H", "l": "I"}
_WHOLE = {"D": "%m/%d/%y", "F": "%Y-%m-%d", "R": "%H:%M", "T": "%H:%M:%S", "r": "%I:%M:%S %p"}


@dataclass(frozen=True, slots=True)
class ClockText:
    """A date and a time of day as a text names them.

    Attributes:
        day: The date.
        hour, minute, second: Of the day; 24, 0, 0 is the end of the day.
        fraction: Digits after the second's point.
        offset_min: Minutes east of UTC that the text names; None where it names none.
        zone: Name of a zone that it names, in its own letters; "" where it names none.
    """

    day: date
    hour: int
    minute: int
    second: int
    fraction: str
    offset_min: int | None
    zone: str


def read(text: str) -> ClockText | None:
    """What a text of ISO 8601, of its kin, or of digits alone names; None when it is none of these.

    >>> read("2024-01-01 24:00").hour
    24
    """
    match = ISO.fullmatch(text) or COMPACT.fullmatch(text)
    return None if match is None else _of(match)


class Pattern:
    """A given pattern.

    Args:
        text: With the directives of `strptime`.

    Raises:
        ValueError: It has a directive that is unknown, one twice, or does not name a date.
    """

    def __init__(self, text: str) -> None:
        source = _expression(text)
        try:
            self._compiled = re.compile(source, re.ASCII | re.IGNORECASE)
        except re.error:
            raise ValueError(f"{text!r} names a part of the stamp twice") from None
        names = set(self._compiled.groupindex)
        dated = [{"month", "day"}, {"month_name", "day"}, {"day_of_year"}, {"iso_week"}, {"week_u"}, {"week_w"}]
        years = {"year", "short_year", "iso_year"}
        if not years & names or not any(parts <= names for parts in dated):
            raise ValueError(f"{text!r} does not name a year, month and day; write one such as %d/%m/%Y %H:%M")
        if "half_hour" in names and "half" not in names:
            raise ValueError(f"{text!r} has a 12-hour clock without %p; add %p, or write %H")

    def read(self, text: str) -> ClockText | None:
        """What a text names; None when it is not written so."""
        match = self._compiled.fullmatch(text)
        return None if match is None else _of(match)


def _expression(text: str) -> str:
    """The pattern as a regular expression."""
    text = re.sub("%([DFRTr])", lambda match: _WHOLE[match[1]], text)
    parts, at = [], 0
    for match in re.finditer(r"%-?(.)|\s+|[.,]%f", text):
        parts.append(re.escape(text[at : match.start()]))
        at, whole = match.end(), match[0]
        if whole.isspace():
            parts.append("" if re.match("%-?[pzZ]", text[at:]) else r"\s+")
        elif whole.endswith("%f") and len(whole) == 3:
            parts.append(rf"(?:[.,]{_DIRECTIVES['f']})?")
        else:
            name = _SAME.get(match[1], match[1])
            if name not in _DIRECTIVES:
                raise ValueError(
                    f"{text!r} has %{match[1]}, which is not known; use those of strptime such as %Y or %p"
                )
            parts.append(_DIRECTIVES[name])
    return "".join([*parts, re.escape(text[at:])])


def _of(match: re.Match[str]) -> ClockText | None:
    """The parts of a match; None when there is no such day or clock."""
    found = match.groupdict()
    day, hour = _day(found), _hour(found)
    minute, second = _number(found, "minute", "minute2"), _number(found, "second", "second2")
    if day is None or hour is None or hour > 24 or minute > 59 or second > 59:
        return None
    fraction = found.get("fraction") or found.get("fraction2") or ""
    if hour == 24 and (minute or second or fraction.strip("0")):
        return None
    offset = 0 if found.get("utc") else None
    if sign := found.get("sign"):
        offset = int(found["zone_h"]) * 60 + int(found["zone_m"] or 0)
        if int(found["zone_h"]) > 23 or int(found["zone_m"] or 0) > 59:
            return None
        offset = offset if sign == "+" else -offset
    return ClockText(day, hour, minute, second, fraction, offset, found.get("zone") or "")


def _number(found: Mapping[str, str | None], *names: str) -> int:
    """The first of these groups that there is, 0 when there is none."""
    return next((int(text) for name in names if (text := found.get(name))), 0)


def _hour(found: Mapping[str, str | None]) -> int | None:
    half = found.get("half_hour")
    if half is None:
        return _number(found, "hour", "hour2")
    if not 1 <= int(half) <= 12:
        return None
    return int(half) % 12 + (12 if (found.get("half") or "").lower() == "p" else 0)


def _day(found: Mapping[str, str | None]) -> date | None:
    try:
        if week := found.get("iso_week"):
            return date.fromisocalendar(_number(found, "iso_year", "year"), int(week), _number(found, "iso_day") or 1)
        short = found.get("short_year")
        year = _number(found, "year") if short is None else int(short) + (2000 if int(short) < 69 else 1900)
        for name, directive in (("week_u", "%U"), ("week_w", "%W")):
            if week := found.get(name):
                number = found.get("week_day") or ("0" if directive == "%U" else "1")
                return datetime.strptime(f"{year} {week} {number}", f"%Y {directive} %w").date()
        if ordinal := found.get("day_of_year"):
            day = date.fromordinal(date(year, 1, 1).toordinal() + int(ordinal) - 1)
            return day if day.year == year else None
        spelt = found.get("month_name")
        month = _number(found, "month") if spelt is None else _MONTHS.index(spelt[:3].lower()) + 1
        return date(year, month, _number(found, "day"))
    except (ValueError, OverflowError):
        return None
