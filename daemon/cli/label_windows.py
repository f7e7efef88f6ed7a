"""Labelled windows that a command was given."""

from __future__ import annotations

from pathlib import Path

from daemon.cli.app import fail

Windows = list[tuple[float, float]]
"""Beginning and end of each, epoch seconds."""


def windows_of(labels: Path | None, file: Path, timezone: str) -> Windows | None:
    """The labelled windows of `file`; None without labels. Ends with a line where the labels know no such file."""
    if labels is None:
        return None
    from models.evaluation import read_windows

    try:
        return read_windows(labels, str(file), timezone)
    except ValueError as error:
        fail(str(error))
