"""Why a file gave no reading, in words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from adapters.base import DocumentFormat
from adapters.text import printable
from daemon.intake.refusals import Refusal
from daemon.presentation.words import tally
from daemon.replay.replay import Reader

CELLS = frozenset({"bad_time", "bad_value", "bad_quality", "bad_label", "missing_value", "nonexistent_time"})
"""Reasons of lines whose columns were found."""
_SHOWN = 80  # characters of a line


def unread(path: Path, fmt: Reader, rejected: Mapping[str, int], shown: Refusal | None = None) -> str:
    """One line on a file of which no line or row was accepted: what was rejected, how it begins, what to do.

    Args:
        path: The file.
        fmt: How it was read.
        rejected: Its lines by reason.
        shown: One of them, with its likely cause.

    Raises:
        OSError: It cannot be read.
    """
    if not rejected:
        return f"{path}: holds no reading, at most a header"
    if shown is not None:
        return f"{path}: no line is a reading, rejected: {tally(dict(rejected))}; {shown.words()}{or_else(rejected)}"
    named = "name its columns with --time, --value and --series"
    if isinstance(fmt, DocumentFormat):
        return f"{path}: no row is a reading, rejected: {tally(dict(rejected))}; {named}"
    with path.open("rb") as file:
        first = file.readline(4 * _SHOWN).decode("utf-8", "replace").strip()
    begins = printable(first[:_SHOWN]) + ("..." if len(first) > _SHOWN else "")
    return f"{path}: no line is a reading, rejected: {tally(dict(rejected))}; it begins with {begins!r}; {named}"


def or_else(rejected: Mapping[str, int]) -> str:
    """What to do beside what the cause of a line asks for: nothing where the columns were found, else to name them."""
    found = set(rejected) & CELLS
    return "" if found else ", or name its columns with --time, --value and --series"
