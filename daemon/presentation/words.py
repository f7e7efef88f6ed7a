"""Plain words for people: reasons, instants, counts. One wording for command line, page and API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from daemon.config.units import format_duration

REASON_WORDS = {
    "model": "the model did not expect it",
    "novelty": "outside everything seen before",
    "limit": "outside the configured physical range",
    "flatline": "constant for far longer than ever before",
    "gap": "no readings",
    "drift": "its behaviour has changed",
    "counter": "a reading that its register cannot have shown",
    "replaced": "its register began anew: the meter was replaced",
}
"""Reasons in plain words."""


def instant(at: float | None) -> str:
    """An instant for people: `2026-07-25 17:20 UTC`."""
    if at is None or not -62_135_596_800 <= at < 253_402_300_800:
        return "never"
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def tally(counts: Mapping[str, int]) -> str:
    """Counts by reason: `1,500 malformed, 2 too_old`, or `none`."""
    return ", ".join(f"{count:,} {reason}" for reason, count in sorted(counts.items()) if count) or "none"


def plural(count: int, noun: str) -> str:
    """`1 event`, `2 events`, `3 entries`, `4 days`, `1,000 series`."""
    if count == 1 or noun.endswith("s"):
        return f"{count:,} {noun}"
    return f"{count:,} " + (f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2] not in "aeiou" else f"{noun}s")


def version_words(version: int | None) -> str:
    """A model's version; one whose record was lost with the database has none."""
    return "a version without record" if version is None else f"version {version}"


def listed(texts: Sequence[str], most: int = 4) -> str:
    """The first of them, and how many are left out: `1, 2, 3, 4 and 996 more`."""
    more = len(texts) - most
    return ", ".join(texts[:most]) + (f" and {more:,} more" if more > 0 else "")


def window_words(window: Mapping[str, Any]) -> str:
    """When a maintenance window is, as `daemon.engine.machine.added_windows.described` has it.

    >>> window_words({"weekly": "Sun 02:00", "duration_s": 14400, "start": None, "end": None, "timezone": "UTC"})
    'Sun 02:00 for 4h (UTC)'
    """
    start, end = (None if text is None else _clock(text) for text in (window["start"], window["end"]))
    zone = "" if all(text is None or text.endswith("UTC") for text in (start, end)) else f" ({window['timezone']})"
    if window["weekly"] is None:
        return f"{start} to {end}{zone}"
    bounds = (f", from {start}" if start else "") + (f", until {end}" if end else "")
    return f"{window['weekly']} for {format_duration(window['duration_s'])} ({window['timezone']}){bounds}"


def _clock(text: str) -> str:
    """A date and a time of the configuration as people read it; with an offset it is told by UTC."""
    at = datetime.fromisoformat(text)
    return at.strftime("%Y-%m-%d %H:%M") if at.tzinfo is None else instant(at.timestamp())
