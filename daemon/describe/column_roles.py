"""Which of a file's columns is the stamp, the value, the series and the quality, from their names and cells."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from adapters.formats.number_text import NumberReader
from adapters.formats.qualities import QualityReader
from adapters.formats.stamps import OK, StampReader

_DATES = (
    *("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%d-%m-%y"),
    *("%d-%b-%Y", "%d %b %Y", "%d-%b-%y", "%b %d, %Y", "%b %d %Y"),
)
_CLOCKS = (" %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", " %H", "T%H:%M", "T%H:%M:%S")
_HALF_DAYS = ("%Y-%m-%d %I:%M %p", "%Y-%m-%d %I:%M:%S %p", "%Y/%m/%d %I:%M %p")
_CLOCK = re.compile(r"\d{1,2}:\d\d(:\d\d(\.\d+)?)?(\s*[apAP]\.?[mM]\.?)?")
_MOST = 0.98  # of the cells that a column of stamps must read
_TIME_WORDS = re.compile(
    r"time|date|stamp|horo|fecha|hora|datum|zeit|start|_ts\b|^ts$|^at$|period|changed", re.IGNORECASE
)
_END_WORDS = re.compile(r"\bend|until|\bto\b|fin\b|bis", re.IGNORECASE)
_VALUE_WORDS = re.compile(
    r"value|valeur|valor|wert|kwh|\bwh\b|usage|consum|power|state|reading|energy|import|idle|temp|level|load|demand|flow",
    re.IGNORECASE,
)
_OTHER_WORDS = re.compile(
    r"cost|price|\bid\b|_id\b|account|number|duration|interval|count|serial|\$|amount", re.IGNORECASE
)
_SERIES_WORDS = re.compile(
    r"series|meter|cups|\bnmi\b|mpan|\bprm\b|device|sensor|entity|host|serial|statistic|station|point|\bname\b|site|label"
    r"|\bid\b|_id\b",
    re.IGNORECASE,
)
_QUALITY_WORDS = re.compile(r"quality|flag|status|metodo|method|estim|valid|read.?type|qual", re.IGNORECASE)
_SENTINEL_TEXTS = 3


@dataclass(frozen=True)
class Column:
    """A column's name and cells."""

    name: str
    cells: Sequence[str]

    @property
    def distinct(self) -> set[str]:
        return set(self.cells) - {""}


def roles(
    columns: Sequence[Column],
    timezone: str,
    *,
    dates: bool = False,
    comma_free: bool = False,
    numbers_quoted: bool = False,
) -> dict[str, Any]:
    """Keys of the configuration for these columns; {} where stamps or values are not found.

    Args:
        columns: The columns.
        timezone: Zone of stamps without one.
        dates: Whether the values stand elsewhere, and a stamp is a date.
        comma_free: Whether a number may have a comma, for it does not separate columns.
        numbers_quoted: Whether numbers have a point by their kind, as in JSON.
    """
    times = _times(columns, timezone, dates=dates)
    if times is None:
        return {}
    names, pattern, at = times
    found: dict[str, Any] = {}
    if names != ["timestamp"]:
        found["format.time"] = names[0] if len(names) == 1 else names
    if pattern is not None:
        found["format.time_format"] = pattern
    rest = [column for column in columns if column.name not in names]
    value = None
    if not dates:
        value = _value(rest, comma_free=comma_free and not numbers_quoted)
        if value is None:
            return {}
        if value[0].name != "value":
            found["format.value"] = value[0].name
        found |= value[1]
        rest = [column for column in rest if column is not value[0]]
    quality = _quality(rest)
    if quality is not None:
        found["format.quality"] = quality[1]
        rest = [column for column in rest if column is not quality[0]]
    series = _series(rest, at)
    if series is not None:
        found["format.series"] = series.name
    if not dates and _ends(names, columns, at):
        found["stamp"] = "end"
    return found


def _times(columns: Sequence[Column], timezone: str, *, dates: bool) -> tuple[list[str], str | None, list[int]] | None:
    """Names of the stamp's columns, its pattern, and the stamps, epoch milliseconds; None where there are none."""
    found = []
    for index, column in enumerate(columns):
        if len(column.distinct) < 2:
            continue
        whole = _read(column.cells, timezone)
        if whole is None:
            continue
        pattern, at = whole
        order = (_END_WORDS.search(column.name) is not None, _TIME_WORDS.search(column.name) is None, index)
        found.append((order, column, pattern, at))
    for _, column, pattern, at in sorted(found, key=lambda each: each[0]):
        if dates or not _all_midnight(column.cells):
            return [column.name], pattern, at
        joined = _with_clock(columns, column, pattern, timezone)
        return joined or ([column.name], pattern, at)
    return None


def _with_clock(
    columns: Sequence[Column], date: Column, pattern: str | None, timezone: str
) -> tuple[list[str], str | None, list[int]] | None:
    """The stamps of a column of dates together with a column of times of day."""
    clocks = [each for each in columns if each is not date and _is_clock(each)]
    for clock in sorted(clocks, key=lambda each: _END_WORDS.search(each.name) is not None):
        cells = [f"{day} {time}" for day, time in zip(date.cells, clock.cells, strict=True)]
        whole = _read(cells, timezone)
        if whole is not None:
            return [date.name, clock.name], whole[0], whole[1]
    return None


def _is_clock(column: Column) -> bool:
    return len(column.distinct) > 1 and all(_CLOCK.fullmatch(cell) for cell in column.distinct)


def _all_midnight(cells: Sequence[str]) -> bool:
    """Whether the cells are dates without a time of day."""
    return not any(":" in cell or len(re.sub(r"\D", "", cell)) > 8 for cell in cells)


def _read(cells: Sequence[str], timezone: str) -> tuple[str | None, list[int]] | None:
    """The pattern that reads the cells, None for none, and the stamps; of two that do, the more regular one."""
    sample = [cell for cell in cells if cell][:500]
    if not sample or not any(character.isdigit() for character in sample[0]):
        return None
    readable = []
    patterns: list[str | None] = [None, *_HALF_DAYS, *_DATES, *(day + clock for day in _DATES for clock in _CLOCKS)]
    for pattern in patterns:
        reader = StampReader(timezone, pattern)
        if reader.read(sample[0])[2] != OK and reader.read(sample[-1])[2] != OK:
            continue
        stamps = [reader.read(cell) for cell in sample]
        good = [stamp[0] for stamp in stamps if stamp[2] == OK]
        if len(good) >= _MOST * len(sample):
            readable.append((pattern, good))
            if pattern is None:
                break
    if not readable:
        return None
    pattern, _ = max(readable, key=lambda each: _regular(each[1]))
    reader = StampReader(timezone, pattern)
    return pattern, [reader.read(cell)[0] for cell in cells]


def _regular(at: Sequence[int]) -> float:
    """Share of the steps that are the most frequent one, less a little for their size."""
    steps = [after - before for before, after in pairwise(at) if after != before]
    if not steps:
        return 0.0
    _, most = Counter(steps).most_common(1)[0]
    return most / len(steps) - sum(step < 0 for step in steps) / len(steps)


def _value(columns: Sequence[Column], *, comma_free: bool) -> tuple[Column, dict[str, Any]] | None:
    """The column of the value, and how its numbers are written."""
    best: tuple[tuple[bool, bool, int], Column, dict[str, Any]] | None = None
    for column in columns:
        written = _number_keys(column, comma_free=comma_free)
        if written is None:
            continue
        order = (
            _VALUE_WORDS.search(column.name) is not None and _OTHER_WORDS.search(column.name) is None,
            _OTHER_WORDS.search(column.name) is None,
            min(len(column.distinct), 50),
        )
        if best is None or order > best[0]:
            best = (order, column, written)
    return None if best is None else (best[1], best[2])


def _number_keys(column: Column, *, comma_free: bool) -> dict[str, Any] | None:
    """How a column's numbers are written; None where it has none."""
    cells = [cell for cell in column.cells if cell and cell != column.name]  # a header may come again
    if not cells:
        return None
    ways: list[dict[str, Any]] = [{}]
    commas = sum("," in cell for cell in cells)
    if commas:
        ways += [{"decimal": ","}] if comma_free else []
        ways += [{"decimal": ",", "thousands": "."}, {"decimal": ",", "thousands": " "}] if comma_free else []
        ways += [{"thousands": ","}]
        if not comma_free:
            ways += [{"decimal": ","}, {"decimal": ",", "thousands": "."}]
    unit = Counter(match[1] for cell in cells if (match := re.fullmatch(r"[-+]?[\d.,]+\s*([^\W\d_][\w/%]*|%)", cell)))
    if unit and unit.most_common(1)[0][1] * 2 > len(cells):
        ways = [{**way, "unit": unit.most_common(1)[0][0]} for way in ways]
    for way in ways:
        reader = NumberReader(way.get("decimal", "."), way.get("thousands", ""), way.get("unit", ""))
        words = Counter(cell for cell in cells if reader.read(cell)[1] != OK)
        if words.total() * 2 < len(cells) and len(words) <= _SENTINEL_TEXTS:
            keys = {f"format.{key}": value for key, value in way.items()}
            return keys | ({"format.missing": sorted(words)} if words else {})
    return None


def _quality(columns: Sequence[Column]) -> tuple[Column, Any] | None:
    """The column of the quality, and what the configuration says of it."""
    for column in columns:
        words = {cell.casefold() for cell in column.distinct}
        if not words or len(words) > 12 or _QUALITY_WORDS.search(column.name) is None:
            continue
        if "estim" in column.name.casefold() and words <= {"yes", "no", "true", "false", "y", "n", "0", "1"}:
            said = {"estimated": {"yes", "true", "y", "1"}, "actual": {"no", "false", "n", "0"}}
            keys = {
                name: sorted({cell for cell in column.distinct if cell.casefold() in own}) for name, own in said.items()
            }
            return column, {"column": column.name, **{name: each for name, each in keys.items() if each}}
        reader = QualityReader()
        if all(reader.read(word)[1] == OK or reader.read(word)[0] == 3 for word in words):
            return column, column.name
    return None


def _series(columns: Sequence[Column], at: Sequence[int]) -> Column | None:
    """The column of the series' name: the one that is called so, or that tells apart rows of one stamp."""
    texts = [column for column in columns if column.distinct and all(column.cells) and not _is_number(column)]
    named = [
        column for column in columns if column.distinct and all(column.cells) and _SERIES_WORDS.search(column.name)
    ]
    named.sort(key=lambda column: column.name.rpartition(".")[2] in ("name", "label"))  # often that of the measurement
    repeated = len(set(at)) < 0.9 * len(at)
    for column in [*named, *texts] if repeated else named:
        if len(set(zip(column.cells, at, strict=True))) >= 0.9 * len(at) and len(column.distinct) * 2 <= len(at):
            return column
    return None


def _is_number(column: Column) -> bool:
    reader = NumberReader()
    return all(reader.read(cell)[1] == OK for cell in list(column.distinct)[:50])


def _ends(names: Sequence[str], columns: Sequence[Column], at: Sequence[int]) -> bool:
    """Whether stamps mark an interval's end: by the column's name, by 24:00, by days that end at 00:00."""
    if any(_END_WORDS.search(name) for name in names):
        return True
    own = [column for column in columns if column.name in names]
    if any(re.search(r"\b24:00", cell) for column in own for cell in column.distinct):
        return True
    stamps = sorted(set(at))
    if len(stamps) < 3:
        return False
    texts = [" ".join(cells) for cells in zip(*(column.cells for column in own), strict=True)]
    first, last = (re.search(r"(\d{1,2}):(\d\d)", text) for text in (texts[0], texts[-1]))
    step = Counter(b - a for a, b in pairwise(stamps)).most_common(1)[0][0] // 60_000
    if first is None or last is None or not 0 < step < 1440:
        return False
    return int(first[1]) * 60 + int(first[2]) == step and int(last[1]) % 24 == int(last[2]) == 0
