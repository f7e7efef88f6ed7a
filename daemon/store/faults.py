"""Named points between two durable steps, at which a test can end the process."""

from __future__ import annotations

from collections.abc import Callable

FAULT_POINTS: tuple[str, ...] = (
    "database.before_rename",  # a fresh database is complete under its temporary name
    "journal.before_commit",
    "journal.after_commit",
    "events.before_commit",
    "events.after_commit",
    "sink.before_commit",
    "sink.after_commit",
    "checkpoint.before_rename",  # the temporary file is complete and synced
    "checkpoint.after_rename",
    "model.before_rename",
    "model.before_record",  # the model file is in place, its record is not
    "model.after_record",
    "prune.before_commit",
    "prune.after_commit",
)
"""Every name that `reached` is called with."""

Reached = Callable[[str], None]


def nowhere(_name: str) -> None:
    """The `reached` of a run that is not a test."""
