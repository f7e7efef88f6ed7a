"""Plain words for people: reasons, instants, counts. One wording for command line, page and API."""

from __future__ import annotations

from datetime import UTC, datetime

REASON_WORDS = {
    "model": "the model did not expect it",
    "novelty": "outside everything seen before",
    "limit": "outside the configured physical range",
    "flatline": "constant for far longer than ever before",
    "gap": "no readings",
    "drift": "its behaviour has changed",
}
"""Reasons in plain words."""


def instant(at: float | None) -> str:
    """An instant for people: `2026-07-25 17:20 UTC`."""
    if at is None or not -62_135_596_800 <= at < 253_402_300_800:
        return "never"
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def plural(count: int, noun: str) -> str:
    """`1 event`, `2 events`, `1,000 series`."""
    return f"{count:,} {noun}{'' if count == 1 or noun.endswith('s') else 's'}"
