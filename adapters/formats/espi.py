"""Green Button: energy readings in an Atom feed, as NAESB's ESPI (REQ.21) has them.

A MeterReading entry leads to its ReadingType (power of ten) and to IntervalBlock entries, whose IntervalReadings have
start (epoch seconds, UTC), duration, value and quality. The file is read twice: once for what entries lead to, once for
the readings. A series is called `USAGEPOINT/METERREADING` after the parts of the links. An XML file may define nothing:
a document type, an entity, or a reference to another file ends its reading.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

import numpy as np

from adapters.base import DocumentError, Progress, Readings
from adapters.format_kind import FormatChoices
from adapters.formats.meter_rows import MeterRows
from adapters.formats.number_text import NumberReader
from adapters.formats.stamps import FIRST_MS, LAST_MS, OK, REASON

_BLOCK = 1 << 16
_MOST_DEEP = 64
_MOST_TEXT = 4096  # characters of one element
_MOST_ENTRIES = 1_000_000
_QUALITY: Mapping[str, int] = {
    **dict.fromkeys(("8", "9", "12"), 1),  # estimated by a reference day, by interpolation; projected
    **dict.fromkeys(("7", "11", "13", "15"), 2),  # edited, derived, mixed, normalised for weather
}
_NAMED = re.compile(r"UsagePoint/([^/]+)/MeterReading/([^/]+)")


@dataclass(slots=True)
class _Entry:
    """What an Atom entry leads to, and what it is."""

    own: str = ""
    up: str = ""
    related: list[str] = field(default_factory=list)
    kind: str = ""
    power: int = 0


@dataclass(frozen=True, slots=True)
class _Meter:
    """The series of an entry's readings, and what their values are multiplied by, as a power of ten."""

    name: str
    power: int


class _Walk:
    """Reads a file's elements.

    Args:
        path: The file.
        ended: Called at an element's end with its name, those around it, and its text.
        started: Called at its start with its name and attributes.
    """

    def __init__(
        self,
        path: Path,
        ended: Callable[[str, list[str], str], None],
        started: Callable[[str, Mapping[str, str]], None] = lambda name, attributes: None,
    ) -> None:
        self._path, self._ended, self._started = path, ended, started
        self._above: list[str] = []
        self._text: list[str] = []
        self._length = 0
        self._parser = parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        parser.ExternalEntityRefHandler = self._refuse
        parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler = self._characters

    def steps(self) -> Iterator[int]:
        """Read on, and say how many bytes were.

        Raises:
            DocumentError: The file is no XML, or defines something.
            OSError: It cannot be read.
        """
        try:
            with self._path.open("rb") as file:
                while block := file.read(_BLOCK):
                    self._parser.Parse(block, False)
                    yield file.tell()
                self._parser.Parse(b"", True)
        except expat.ExpatError as error:
            said = expat.ErrorString(error.code)
            raise DocumentError(f"{self._path}: not XML: {said} in line {error.lineno}") from None

    def _refuse(self, *told: object) -> int:
        raise DocumentError(f"{self._path}: defines a document type or an entity, which no Green Button file does")

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        if len(self._above) >= _MOST_DEEP:
            raise DocumentError(f"{self._path}: is nested deeper than {_MOST_DEEP} elements, not a Green Button file")
        name = name.rpartition(" ")[2]
        self._above.append(name)
        self._text, self._length = [], 0
        self._started(name, attributes)

    def _end(self, name: str) -> None:
        own = self._above.pop()
        self._ended(own, self._above, "".join(self._text).strip())
        self._text, self._length = [], 0

    def _characters(self, text: str) -> None:
        self._length += len(text)
        if self._length <= _MOST_TEXT:
            self._text.append(text)


@dataclass(frozen=True)
class EspiFormat:
    """Green Button files.

    Attributes:
        numbers: Says which numbers stand for a missing value.
        series_bytes: Longest name of a series, in bytes of UTF-8.
        series_of: See `FormatChoices.series_of`; a name it gives is the file's one series', or stands before the
            MeterReading's where there are several.
    """

    numbers: NumberReader = field(default_factory=NumberReader)
    series_bytes: int = 256
    series_of: Callable[[str, str], str] = lambda path, otherwise: otherwise

    width = 1

    def read(self, path: Path, progress: Progress = lambda done, total: None) -> Iterator[Readings]:
        """See `DocumentFormat.read`.

        Raises:
            DocumentError: It is no Green Button file.
            OSError: It cannot be read.
        """
        meters = _meters(path, self.series_of(str(path), ""))
        pieces, total = MeterRows(self.series_bytes), path.stat().st_size
        reading: dict[str, str] = {}
        entry = -1

        def started(name: str, attributes: Mapping[str, str]) -> None:
            nonlocal entry
            if name == "entry":
                entry += 1
            elif name == "IntervalReading":
                reading.clear()

        def ended(name: str, above: list[str], text: str) -> None:
            if name == "IntervalReading":
                self._put(pieces, meters.get(entry) or meters[-1], reading)
            elif "IntervalReading" in above and name in ("start", "value", "quality"):
                worse = name == "quality" and _QUALITY.get(reading.get(name, ""), 0) > _QUALITY.get(text, 0)
                reading[name] = reading[name] if worse else text

        for done in _Walk(path, ended, started).steps():
            progress(done, total)
            if pieces.full:
                yield pieces.drain()
        yield pieces.drain()

    def _put(self, pieces: MeterRows, meter: _Meter, reading: Mapping[str, str]) -> None:
        start, text = reading.get("start", ""), reading.get("value", "")
        value, reason = self.numbers.read(f"{text}e{meter.power}" if text and meter.power else text)
        at_ms = int(start) * 1000 if re.fullmatch(r"\d{1,12}", start, re.ASCII) else 0
        if not FIRST_MS <= at_ms < LAST_MS:
            reason = REASON["bad_time"]
        quality = np.array([_QUALITY.get(reading.get("quality", ""), 0)], np.int8)
        good = reason == OK
        at = np.array([at_ms if good else 0], np.int64)
        pieces.add(meter.name, at, np.array([value if good else 0.0]), quality, np.array([reason], np.uint8))


def _meters(path: Path, given: str) -> dict[int, _Meter]:
    """The meter of each entry by its number; under -1 that of readings whose entry leads to none.

    Raises:
        DocumentError: The file is no XML, defines something, or holds no readings.
    """
    entries: list[_Entry] = []
    seen: set[str] = set()

    def started(name: str, attributes: Mapping[str, str]) -> None:
        seen.add(name) if name in ("IntervalBlock", "feed", "entry") else None
        if name == "entry":
            if len(entries) >= _MOST_ENTRIES:
                raise DocumentError(f"{path}: has more than {_MOST_ENTRIES:,} entries")
            entries.append(_Entry())
        elif not entries:
            return
        elif name == "link":
            rel, href = attributes.get("rel", ""), attributes.get("href", "").rstrip("/")
            if rel == "self":
                entries[-1].own = href
            elif rel == "up":
                entries[-1].up = href
            elif rel == "related":
                entries[-1].related.append(href)
        elif name in ("ReadingType", "MeterReading", "IntervalBlock"):
            entries[-1].kind = entries[-1].kind or name

    def ended(name: str, above: list[str], text: str) -> None:
        if name == "powerOfTenMultiplier" and entries and re.fullmatch(r"[+-]?\d{1,2}", text, re.ASCII):
            entries[-1].power = int(text)

    for _ in _Walk(path, ended, started).steps():
        pass
    if "IntervalBlock" not in seen:
        raise DocumentError(f"{path}: not a Green Button file: it has no IntervalBlock")
    return _resolved(entries, given or path.stem, bool(given))


def _resolved(entries: list[_Entry], name: str, given: bool) -> dict[int, _Meter]:
    types = {entry.own: entry.power for entry in entries if entry.kind == "ReadingType"}
    only = next(iter(types.values())) if len(types) == 1 else 0
    meters: dict[str, _Meter] = {}  # by what leads to its blocks, and by its own link
    readings = [entry for entry in entries if entry.kind == "MeterReading"]
    for entry in readings:
        power = next((types[href] for href in entry.related if href in types), only)
        match = _NAMED.search(entry.own)
        part = "/".join(match.groups()) if match else entry.own.rpartition("/")[2] or name
        said = part if not given else name if len(readings) == 1 else f"{name}/{part}"
        meters.update(dict.fromkeys((entry.own, *entry.related), _Meter(said, power)))
    one = next(iter(meters.values())) if len(readings) == 1 else _Meter(name, only)
    found = {-1: one}
    for number, entry in enumerate(entries):
        if entry.kind == "IntervalBlock":
            above = entry.up.rpartition("/")[0]  # .../MeterReading/1 of .../MeterReading/1/IntervalBlock
            found[number] = meters.get(entry.up) or meters.get(entry.own) or meters.get(above) or one
    return found


def made(choices: FormatChoices, timezone: str, series_bytes: int) -> EspiFormat:
    """As the configuration has it; stamps are of UTC."""
    return EspiFormat(NumberReader(missing=choices.missing), series_bytes, choices.series_of)
