"""Why a line was most likely refused, and the key of the configuration that cures it."""

from __future__ import annotations

import re
from typing import NamedTuple

from adapters.format_kind import FormatChoices
from adapters.formats.csv import split_fields
from adapters.formats.number_text import read_number
from adapters.formats.stamps import OK
from adapters.text import printable

_SHOWN = 80
_DAY_OR_MONTH = re.compile(r"\b(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d\d)\b(?:,?\s*(\d{1,2}:\d\d)(:\d\d)?)?")
_HALF_DAY = re.compile(r"\d\s*[ap]\.?m\b", re.IGNORECASE)
_DAY_NUMBER = re.compile(r"[34]\d{4}([.,]\d+)?")
_CLOCK = re.compile(r"\d{1,2}:\d\d(:\d\d)?")
_WITH_UNIT = re.compile(r"[+-]?\d[\d.,' ]*?\s*([^\W\d_][\w/³²%]*|%)\s*")
_SEPARATORS = ";\t|,"


class Diagnosis(NamedTuple):
    """A likely cause in words, and the key that cures it, with a value; "" where no key does."""

    cause: str
    key: str


def excerpt(raw: bytes) -> str:
    """A line for people: printable, and no longer than 80 characters."""
    text = raw[: 4 * _SHOWN].rstrip(b"\r\n").decode("utf-8", "replace")
    return printable(text[:_SHOWN]) + ("..." if len(text) > _SHOWN else "")


def diagnose(raw: bytes, reason: str, choices: FormatChoices, header: str | None) -> Diagnosis:
    """What a refused line suggests.

    Args:
        raw: The line.
        reason: Why it was refused.
        choices: How it was to be read.
        header: The header in force, or the likeliest one.
    """
    if reason in ("encoding", "binary", "malformed", "preamble") and raw.count(b"\0") * 3 > len(raw):
        return Diagnosis("the text is UTF-16", "format.encoding: utf-16")
    text = raw.decode("utf-8", "replace").strip()
    cells = _cells(text, choices, header)
    if reason in _BY_CELL:
        names, say = _BY_CELL[reason]
        wanted = [cells.get(name, "") for name in _columns(choices, names)]
        return say(wanted, text)
    if reason in ("malformed", "preamble"):
        return _of_shape(text, choices, header)
    return _FIXED.get(reason, Diagnosis("it is no reading", ""))


def _columns(choices: FormatChoices, which: str) -> list[str]:
    if which == "series":
        found = choices.series_columns
    else:
        found = choices.time if which == "time" else choices.quality_column if which == "quality" else choices.value
    return [found] if isinstance(found, str) else list(found or [])


def _cells(text: str, choices: FormatChoices, header: str | None) -> dict[str, str]:
    names = choices.columns or (split_fields(header, choices.delimiter) if header else None) or []
    return dict(zip((name.strip() for name in names), split_fields(text, choices.delimiter) or [], strict=False))


def _of_time(cells: list[str], line: str) -> Diagnosis:
    text = " ".join(cells).strip() or line
    if match := _DAY_OR_MONTH.search(text):
        first, mark, second, year, clock, seconds = match.groups()
        half = _HALF_DAY.search(text) is not None
        month_first = int(second) > 12
        order = f"%m{mark}%d" if month_first else f"%d{mark}%m"
        pattern = f"{order}{mark}{'%Y' if len(year) == 4 else '%y'}"
        if clock:
            pattern += f" {'%I' if half else '%H'}:%M{':%S' if seconds else ''}{' %p' if half else ''}"
        named = "the month first" if month_first else "the day first"
        sure = int(first) > 12 or month_first
        cause = (
            f"the stamp has {named if sure else 'the day or the month first'}{', and a 12-hour clock' if half else ''}"
        )
        return Diagnosis(cause, f"format.time_format: '{pattern}'")
    if _HALF_DAY.search(text):
        return Diagnosis("the stamp has a 12-hour clock", "format.time_format: '%Y-%m-%d %I:%M %p'")
    if _DAY_NUMBER.fullmatch(text.strip()):
        return Diagnosis("the stamp is a spreadsheet's number of days", "format.time_format: excel")
    if _CLOCK.fullmatch(text.strip()):
        return Diagnosis("the stamp has a time of day alone", "format.time: [date, time]")
    return Diagnosis(
        "the stamp is written in a way of its own, or its column is another one",
        "format.time_format to how it is written, as in strptime, or format.time to its column",
    )


def _of_value(cells: list[str], line: str) -> Diagnosis:
    text = next((cell.strip() for cell in cells if read_number(cell)[1] != OK), "")
    if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", text) and (text.count(",") > 1 or "." in text):
        return Diagnosis("a comma stands between thousands", "format.thousands: ','")
    if re.fullmatch(r"[+-]?\d[\d. '\u00a0\u202f]*,\d*", text):
        more = next((f", thousands: '{mark}'" for mark in ".' " if mark in text.replace("\u202f", " ")), "")
        return Diagnosis("the number has a decimal comma", f"format.decimal: ','{more}")
    if match := _WITH_UNIT.fullmatch(text):
        return Diagnosis("a unit stands behind the number", f"format.unit: {match[1]}")
    if text:
        return Diagnosis("the column of the value is another one, or a word stands for what is missing", "format.value")
    return Diagnosis("the column of the value is another one", "format.value")


def _of_quality(cells: list[str], line: str) -> Diagnosis:
    text = excerpt((cells or [""])[0].encode())
    return Diagnosis(f"nothing is known of the quality {text!r}", "format.quality: {column: ..., actual: [...]}")


def _of_series(cells: list[str], line: str) -> Diagnosis:
    return Diagnosis("the series' name is empty, too long, or not in the file's path", "format.series")


def _of_shape(text: str, choices: FormatChoices, header: str | None) -> Diagnosis:
    """Of lines that are no row of the format, or under no header."""
    kind = getattr(choices, "type", "csv")
    if text.startswith(("{", "[")) and kind == "csv":
        return Diagnosis("the lines are JSON", "format.type: jsonl")
    if kind != "csv":
        return Diagnosis("the line is not what the format has, or another format's", "format.type")
    first = header or text
    columns = [*_columns(choices, "time"), *_columns(choices, "value")]
    for mark in _SEPARATORS:
        names = [name.strip() for name in split_fields(first, mark) or []]
        if mark != choices.delimiter and (
            set(columns) <= set(names) or len(names) > first.count(choices.delimiter) + 2
        ):
            return Diagnosis("another character separates the columns", f"format.delimiter: {mark!r}")
    if header is not None and not set(columns) <= {
        name.strip() for name in split_fields(header, choices.delimiter) or []
    }:
        wanted = ", ".join(columns)
        return Diagnosis(
            f"no line has the columns {wanted}; the likeliest header is {excerpt(header.encode())!r}",
            "format.time and format.value",
        )
    if re.search(r"\d,\d", text) and choices.delimiter == ",":
        return Diagnosis("the numbers have a decimal comma, which separates columns here", "format.decimal: ','")
    return Diagnosis("the line has another number of columns than its header", "")


_BY_CELL = {
    "bad_time": ("time", _of_time),
    "bad_value": ("value", _of_value),
    "bad_quality": ("quality", _of_quality),
    "bad_series": ("series", _of_series),
}
_FIXED = {
    "encoding": Diagnosis("the text is not UTF-8", "format.encoding: latin-1"),
    "binary": Diagnosis("the line holds NUL bytes", ""),
    "too_long": Diagnosis("the line is longer than is read", "limits.line_bytes"),
    "nonexistent_time": Diagnosis("the clock was put forward over this time of the stream's zone", "timezone"),
    "missing_value": Diagnosis("the value is empty, or stands for one that is missing", ""),
    "not_finite": Diagnosis("the value is no finite number", "format.missing: [nan]"),
    "width": Diagnosis("the list is not as long as the vector", "format.value"),
    "source_series_limit": Diagnosis("the source has brought in as many series as it may", "max_series"),
    "incomplete": Diagnosis("the last line was never finished", ""),
}
