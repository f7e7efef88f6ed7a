"""InfluxDB line protocol: `measurement,tag=value field=1.5,other=2i 1714557600000000000`, as Telegraf writes it.

Settings name the field that is the value (or one field per variable) and the tags that make the series. Without
tags the series is the whole series key, tags in order: `cpu,cpu=cpu0,host=a`. Fields that no setting names are ignored;
so are comments and blank lines. Differences from InfluxDB, all of them on purpose:

- A line without a stamp is `bad_time`: event time comes from the data only.
- Precision is read off the stamp: seconds, milliseconds, microseconds or nanoseconds of the years 1990 to 2100; what
  lies beyond milliseconds is cut off.
- A newline always ends a line, within quotes too.
- Text and booleans are no values (`bad_value`); an empty value is `missing_value`.

Source: InfluxDB's line protocol reference, and the scanner of its `models` package for what the reference leaves open
(a separator is escaped when a backslash stands right before it, whatever stands before that).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from adapters.base import Readings
from adapters.format_kind import FormatChoices
from adapters.formats.number_text import NumberReader, Numbers, read_each
from adapters.formats.rows import (
    IGNORED,
    Lines,
    Row,
    Rows,
    read_lines,
    read_series,
    suspect_bytes,
    to_text,
)
from adapters.formats.stamps import REASON, StampReader

_COMMA, _EQUALS, _SPACE = re.compile(r"(?<!\\),"), re.compile(r"(?<!\\)="), re.compile(r"(?<!\\) ")
_ESCAPED = re.compile(r"\\([,= ])")
_FIELD = re.compile(r'((?:[^\\=, ]|\\.)+)=("(?:[^"\\]|\\.)*"|[^",= ]*)(?=[, ]|\Z)')
_WHOLE = re.compile(r"-?[0-9]{1,19}i|[0-9]{1,20}u")
_STAMP = re.compile(r"[0-9]{1,19}")
_BLANK = b" \t"


class InfluxFormat:
    """Readings from InfluxDB line protocol.

    The header in force is "" from the first line on, so that a BOM counts only at a place's start.

    Args:
        value: Field of the value, or one field per variable.
        tags: Tags whose values, joined by commas, are the series, a comma or backslash within one escaped; a
            single one as it is. None: the whole series key.
        numbers: Says which numbers stand for a missing value.
        series_bytes: Longest name of a series, in bytes of UTF-8.
        vouch: False takes every line through the slow path; for tests.
    """

    def __init__(
        self,
        *,
        value: str | Sequence[str] = "value",
        tags: Sequence[str] | None = None,
        numbers: NumberReader | None = None,
        series_bytes: int = 256,
        vouch: bool = True,
    ) -> None:
        self._values = [value] if isinstance(value, str) else list(value)
        self._tags = None if tags is None else list(tags)
        self._series_bytes, self._vouch = series_bytes, vouch
        self._stamps = StampReader("UTC")
        self._numbers = numbers or NumberReader()
        self._suspects = suspect_bytes()

    @property
    def width(self) -> int:
        """Number of variables of a reading."""
        return len(self._values)

    def parse(self, data: bytes, series: str, header: str | None) -> tuple[Readings, str | None]:
        """See `Format.parse`; `series` is not used, for every line has a series key."""
        return read_lines(data, header, self.width, self._fast if self._vouch else None, self._slow)

    # One line

    def _slow(self, raw: bytes) -> list[Row | int]:
        """One line without its newline: a row, or the reason there is none."""
        return [self._row(raw)]

    def _row(self, raw: bytes) -> Row | int:
        raw = raw.strip(_BLANK)
        if not raw or raw.startswith(b"#"):
            return IGNORED
        text = to_text(raw)
        if isinstance(text, int):
            return text
        split = _SPACE.search(text)
        series = None if split is None else self._series_of(text[: split.start()])
        if split is None or series is None:
            return REASON["malformed"]
        found = _read_fields(text[split.end() :].lstrip(" "))
        if found is None or any(len(found[0].get(name, ())) > 1 for name in self._values):
            return REASON["malformed"]
        fields, stamp = found
        numbers = [self.read_field(fields[name][0] if name in fields else "") for name in self._values]
        return Row.of(read_series(series, self._series_bytes), self._stamps.read_cell(to_number(stamp)), numbers)

    def _series_of(self, key: str) -> str | None:
        """The series of a series key, "" when it lacks a tag; None when the key is malformed."""
        measurement, *parts = _COMMA.split(key)
        tags: dict[str, str] = {}
        for part in parts:
            pair = _EQUALS.split(part)
            if len(pair) != 2 or not all(pair) or pair[0] in tags:
                return None
            tags[pair[0]] = pair[1]
        if not measurement:
            return None
        if self._tags is None:
            return ",".join([measurement, *(f"{name}={tags[name]}" for name in sorted(tags))])
        plain = {unescaped(name): unescaped(value) for name, value in tags.items()}
        values = [plain.get(name, "") for name in self._tags]
        if len(values) == 1 or not all(values):
            return values[0] if len(values) == 1 else ""
        return ",".join(value.replace("\\", "\\\\").replace(",", "\\,") for value in values)

    # Many lines

    def _fast(self, lines: Lines, rows: Rows) -> npt.NDArray[np.bool_]:
        """Read whole columns of lines of a key, fields and a stamp with one space between, and say which."""
        raw = np.frombuffer(lines.data, np.uint8)
        spaces = np.diff(np.searchsorted(np.flatnonzero(raw == 32), lines.ends), prepend=0)
        plain: npt.NDArray[np.bool_] = (spaces == 2) & ~lines.suspect(self._suspects)
        numbers = np.flatnonzero(plain)
        if not len(numbers):
            return plain
        flat = lines.texts(plain)[:-1].replace("\n", " ").split(" ")
        keys, fields, stamps = flat[0::3], flat[1::3], flat[2::3]
        series = {key: None if key.startswith("#") else self._series_of(key) for key in dict.fromkeys(keys)}
        cells = self._columns(fields)
        fit = [
            index
            for index, (key, cell, stamp) in enumerate(zip(keys, cells, stamps, strict=True))
            if cell is not None and stamp and series[key] is not None
        ]
        plain[:] = False
        if not fit:
            return plain
        taken = numbers[fit]
        plain[taken] = True
        self._put(rows, taken, [str(series[keys[i]]) for i in fit], [stamps[i] for i in fit], [cells[i] for i in fit])
        return plain

    def _put(
        self,
        rows: Rows,
        taken: npt.NDArray[np.intp],
        series: list[str],
        stamps: list[str],
        cells: Sequence[tuple[str, ...] | None],
    ) -> None:
        rows.put_names(taken, series, self._series_bytes)
        known = {stamp: to_number(stamp) for stamp in dict.fromkeys(stamps)}
        rows.put_stamps(taken, [known[stamp] for stamp in stamps], self._stamps)
        for variable, column in enumerate(zip(*(cell for cell in cells if cell is not None), strict=True)):
            rows.put_values(taken, variable, *self.read_column(list(column)))

    def read_field(self, text: str) -> tuple[float, int]:
        """`(value, reason)` of a field: a float, or a whole number with its `i` or `u`."""
        if _WHOLE.fullmatch(text):
            return self._numbers.judge(float(int(text[:-1])))
        return self._numbers.read(text)

    def read_column(self, texts: list[str]) -> Numbers:
        """`_read_field` of a column."""
        if not {text[-1:] for text in texts} & {"i", "u"}:
            return self._numbers.read_column(texts)
        return read_each(texts, self.read_field)

    def _columns(self, texts: list[str]) -> list[tuple[str, ...] | None]:
        """The values of each field set as text, in the order of the settings; None where the slow path must look."""
        found: list[tuple[str, ...] | None] = []
        for text in texts:
            try:
                fields = dict([part.split("=") for part in text.split(",")])
            except ValueError:  # a part without its equals sign, or with two
                found.append(None)
                continue
            whole = "" not in fields and len(fields) == text.count(",") + 1
            found.append(tuple([fields.get(name, "") for name in self._values]) if whole else None)
        return found


def unescaped(text: str) -> str:
    r"""A name or a tag's value without its backslashes.

    >>> unescaped(r"north\ side")
    'north side'
    """
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


def to_number(text: str) -> int | str:
    """A stamp as `StampReader.read_cell` takes it; "" when it is none.

    >>> to_number("1714557600000000000"), to_number("now")
    (1714557600000000000, '')
    """
    return int(text) if _STAMP.fullmatch(text) else ""


def _read_fields(text: str) -> tuple[dict[str, list[str]], str] | None:
    """Values by field name, as text, and the stamp, "" when there is none; None when the field set is malformed."""
    fields: dict[str, list[str]] = {}
    at = 0
    while (match := _FIELD.match(text, at)) is not None:
        fields.setdefault(unescaped(match[1]), []).append(match[2])
        at = match.end()
        if text[at : at + 1] != ",":
            stamp = text[at:].strip(" ")
            return None if " " in stamp else (fields, stamp)
        at += 1
    return None


def made(choices: FormatChoices, timezone: str, series_bytes: int) -> InfluxFormat:
    """As the configuration has it; stamps are instants, so no zone is needed."""
    tags = choices.series_columns
    tags = [tags] if isinstance(tags, str) else tags
    numbers = NumberReader(missing=choices.missing)
    return InfluxFormat(value=choices.value, tags=tags, numbers=numbers, series_bytes=series_bytes)
