"""Durations and sizes as the configuration writes them: a number and its unit.

A bare number is ambiguous in a file (seconds? minutes?) and refused there; Python code may pass seconds or bytes.
"""

from __future__ import annotations

import re
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationInfo, WithJsonSchema

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_UNITS_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
CENTURY_S = 100 * 365 * 86400
_DURATION = "a number and a unit of s, m, h, d or w, such as 30m or 14d"
_SIZE = "a number and a unit of B, KiB, MiB or GiB, such as 64KiB"


def parse_duration(text: Any) -> Any:
    """Seconds of a duration such as `30m`, `14d` or `1h30m`; other values pass through for pydantic to judge."""
    if not isinstance(text, str):
        return text
    if not re.fullmatch(r"([0-9]{1,10}[smhdw])+", text):
        raise ValueError(f"not a duration; write {_DURATION}")
    return sum(int(n) * _UNITS_S[unit] for n, unit in re.findall(r"([0-9]+)([smhdw])", text))


def format_duration(seconds: int) -> str:
    """The shortest exact duration text: `1800` is `30m`, `86400` is `1d`."""
    for unit in ("d", "h", "m"):
        if seconds and seconds % _UNITS_S[unit] == 0:
            return f"{seconds // _UNITS_S[unit]}{unit}"
    return f"{seconds}s"


def parse_size(text: Any) -> Any:
    """Bytes of a size such as `64KiB` or `1GiB`; other values pass through for pydantic to judge."""
    if not isinstance(text, str):
        return text
    match = re.fullmatch(r"([0-9]{1,15})(B|KiB|MiB|GiB)", text)
    if not match:
        raise ValueError(f"not a size; write {_SIZE}")
    return int(match[1]) * _UNITS_BYTES[match[2]]


def format_size(count: int) -> str:
    """The shortest exact size text: `65536` is `64KiB`."""
    for unit in ("GiB", "MiB", "KiB"):
        if count and count % _UNITS_BYTES[unit] == 0:
            return f"{count // _UNITS_BYTES[unit]}{unit}"
    return f"{count}B"


def _duration(value: Any, info: ValidationInfo) -> Any:
    """As `parse_duration`; read from a file (the context says so), a number without a unit is ambiguous and refused."""
    if info.context and not isinstance(value, str):
        raise ValueError(f"a duration without its unit; write {_DURATION}")
    return parse_duration(value)


def _size(value: Any, info: ValidationInfo) -> Any:
    """As `parse_size`; read from a file, a number without a unit is ambiguous and refused."""
    if info.context and not isinstance(value, str):
        raise ValueError(f"a size without its unit; write {_SIZE}")
    return parse_size(value)


Duration = Annotated[
    int,
    BeforeValidator(_duration),
    Field(le=CENTURY_S),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^([0-9]{1,10}[smhdw])+$"}, mode="serialization"),
]
Size = Annotated[
    int,
    BeforeValidator(_size),
    Field(le=1 << 50),
    PlainSerializer(format_size, return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,15}(B|KiB|MiB|GiB)$"}, mode="serialization"),
]


def known_zone(name: str) -> str:
    """The name of a time zone. Raises ValueError where there is none of it."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("not a known time zone; use an IANA name such as Europe/Berlin") from None
    return name
