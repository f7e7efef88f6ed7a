"""How a file is written, found from its beginning: format, encoding, delimiter, and which column is what."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adapters.formats.csv import split_fields
from adapters.formats.wide import periods_of
from adapters.text_file import Recoder
from daemon.describe.column_roles import Column, roles

_SAMPLE_BYTES = 1 << 18
_MOST_ROWS = 2000
_HEADER_LINES = 100
_DELIMITERS = ",;\t|"


def layout_of(path: Path, timezone: str) -> dict[str, Any]:
    """What a stream's configuration would say of a file: `format.*` and `stamp`, by key; {} where nothing is found.

    Args:
        path: The file.
        timezone: Zone of its stamps without one.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        raw = file.read(_SAMPLE_BYTES)
    if raw.startswith(b"PAR1"):
        return {}
    encoding, text = _decoded(raw)
    found: dict[str, Any] = {} if encoding == "auto" else {"format.encoding": encoding}
    begins = text.lstrip("\ufeff \t\r\n")
    if begins.startswith(("100,NEM12", "200,")):
        return found | {"format.type": "nem12"}
    if begins.startswith("<") and "IntervalBlock" in text:
        return found | {"format.type": "espi"}
    lines = [line.rstrip("\r") for line in text.removeprefix("\ufeff").split("\n")[: _MOST_ROWS + _HEADER_LINES]]
    if len(raw) == _SAMPLE_BYTES:
        lines = lines[:-1]  # the last one was cut
    if begins.startswith(("{", "[")):
        return _of_json(lines, timezone, found)
    return _of_csv(lines, timezone, found)


def clock_beside(path: Path, timezone: str, time: object, interval_s: int) -> str | None:
    """The column of times of day that belongs to a column of dates, `time`, that was read alone as whole days."""
    columns = layout_of(path, timezone).get("format.time")
    if interval_s % 86400 or not isinstance(columns, list) or columns[0] != time:
        return None
    return str(columns[1])


def _decoded(raw: bytes) -> tuple[str, str]:
    """The configuration's word for the encoding, and the text."""
    if raw[:2] not in (b"\xff\xfe", b"\xfe\xff") and raw.count(b"\0") * 3 > len(raw):
        encoding = "utf-16-le" if raw[1::2].count(0) > raw[::2].count(0) else "utf-16-be"
        return encoding, raw.decode(encoding, "replace")
    text = Recoder().feed(raw)
    try:
        return "auto", text[: text.rfind(b"\n") + 1 or None].decode()
    except UnicodeDecodeError:
        return "cp1252", raw.decode("cp1252", "replace")


def _of_json(lines: list[str], timezone: str, found: dict[str, Any]) -> dict[str, Any]:
    cells: dict[str, list[str]] = {}
    rows = 0
    for line in lines:
        try:
            item = json.loads(line)
        except ValueError:
            continue
        for flat in _flattened(item):
            for key in [key for key in flat if key not in cells]:
                cells[key] = [""] * rows
            rows += 1
            for key, column in cells.items():
                column.append(flat.get(key, ""))
    named = roles([Column(name, column) for name, column in cells.items()], timezone, numbers_quoted=True)
    return found | {"format.type": "jsonl"} | named if named else {}


def _flattened(item: Any, prefix: str = "") -> Iterator[dict[str, str]]:
    """The leaves of an object by their keys with dots; an object for each of a list of objects."""
    if isinstance(item, list):
        for each in item:
            yield from _flattened(each, prefix)
        return
    if not isinstance(item, dict):
        return
    flat: dict[str, str] = {}
    inner: list[list[dict[str, str]]] = []
    for key, value in item.items():
        if isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], dict)):
            inner.append(list(_flattened(value, f"{prefix}{key}.")))
        elif not isinstance(value, list):
            flat[f"{prefix}{key}"] = "" if value is None else str(value)
    several = max(inner, key=len, default=[])
    single = [each[0] for each in inner if len(each) == 1 and each is not several]
    for part in several or [{}]:
        yield {**flat, **{key: value for each in single for key, value in each.items()}, **part}


def _of_csv(lines: list[str], timezone: str, found: dict[str, Any]) -> dict[str, Any]:
    delimiter, rows = _split(lines)
    if not rows:
        return {}
    header = _header(rows)
    if header is None:
        names = [f"column{i + 1}" for i in range(len(rows[0]))]
        body = rows
        found = found | {"format.columns": names}
    else:
        names = [name.strip() for name in rows[header]]
        while names and not names[-1]:
            names.pop()
        body = [row for row in rows[header + 1 :] if len(row) >= len(names)]
    if delimiter != ",":
        found = found | {"format.delimiter": delimiter}
    periods = periods_of(names)
    columns = [Column(name, [row[i].strip() for row in body]) for i, name in enumerate(names)]
    if periods is not None:
        others = [column for i, column in enumerate(columns) if i not in periods.columns]
        named = roles(others, timezone, dates=True)
        return found | {"format.type": "wide"} | named if named else {}
    named = roles(columns, timezone, comma_free=delimiter != ",")
    return found | named if named else {}


def _split(lines: list[str]) -> tuple[str, list[list[str]]]:
    """The delimiter under which most lines have the same number of columns, and their fields from the header on."""
    best: tuple[float, int, str, list[list[str]]] = (0.0, 0, ",", [])
    plain = [line for line in lines if line.strip() and not line.startswith("#")]
    for delimiter in _DELIMITERS:
        rows = [split_fields(line, delimiter) or [] for line in plain]
        counts = Counter(map(len, rows))
        counts.pop(0, None)
        if not counts:
            continue
        columns, same = max(counts.items(), key=lambda item: (item[1], item[0]))
        if columns > 1 and (same / len(plain), columns) > best[:2]:
            fitting = [
                row for row in rows if len(row) == columns or (len(row) == columns - 1 and row and _is_words(row))
            ]
            best = (same / len(plain), columns, delimiter, fitting)
    return best[2], best[3]


def _is_words(row: list[str]) -> bool:
    return all(cell.strip() and not cell.strip()[0].isdigit() for cell in row)


def _header(rows: list[list[str]]) -> int | None:
    """The line that names the columns: the first without a number and with a name for all but the last ones."""
    for index, row in enumerate(rows[:_HEADER_LINES]):
        cells = [cell.strip() for cell in row]
        named = [cell for cell in cells if cell]
        words = sum(not cell[0].isdigit() and cell[0] not in "-+." for cell in named)
        if len(named) >= max(2, len(cells) - 1) and len(set(named)) == len(named) and words >= max(2, len(named) // 3):
            after = rows[index + 1 : index + 20]
            if words == len(named) or periods_of(cells) is not None:
                return index if after else None
    return None
