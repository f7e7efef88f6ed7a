"""Maintenance windows that an operator added while the daemon ran, beside those of the configuration."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from daemon.config.maintenance_settings import MaintenanceSettings, MaintenanceWindow
from daemon.config.settings import StreamSettings

MOST_ADDED = 30
"""Windows of a stream that are added at run time and not over."""
KEPT_S = 30 * 86400  # a window that is over for longer means nothing, as no reading is so late


class AddedWindow(NamedTuple):
    """One: what the configuration would say of it, by key, and why, for people."""

    window: dict[str, Any]
    note: str

    @property
    def key(self) -> tuple[str, str, str]:
        """Of two with the same series, start and days the later one takes the place."""
        return self.window.get("series", "*"), self.window["start"], self.window.get("weekly") or ""

    @property
    def settings(self) -> MaintenanceSettings:
        """As the configuration has them."""
        return MaintenanceSettings.model_validate(self.window)

    def identity(self, stream: str) -> str:
        """Eight letters by which people name it."""
        return hashlib.sha256(json.dumps([stream, *self.key]).encode()).hexdigest()[:8]


class AddedWindows:
    """Those of one stream, in the order in which they were added.

    Attributes:
        windows: They.
    """

    def __init__(self) -> None:
        self.windows: list[AddedWindow] = []

    def put(self, window: AddedWindow, dropped: bool, at: int, timezone: str) -> None:
        """Add one, or drop it, and forget those that are long over.

        Args:
            window: It takes the place of one of its key.
            dropped: Only take that one away.
            at: Where the stream is, epoch seconds.
            timezone: The stream's.
        """
        kept = [each for each in self.windows if each.key != window.key]
        kept += [] if dropped else [window]
        self.windows = [each for each in kept if not _is_long_over(each, at, timezone)]

    def state(self) -> list[list[Any]]:
        """JSON that `restore` continues from."""
        return [list(each) for each in self.windows]

    def restore(self, state: Iterable[tuple[dict[str, Any], str]]) -> None:
        """Continue from what `state` returned."""
        self.windows = [AddedWindow(*each) for each in state]


def _is_long_over(window: AddedWindow, at: int, timezone: str) -> bool:
    settings = window.settings
    return settings.end is not None and MaintenanceWindow(settings, timezone).ends_at < at - KEPT_S


def described(
    stream: str, settings: StreamSettings, added: Iterable[AddedWindow], at: int | None
) -> list[dict[str, Any]]:
    """All windows of a stream, those of the configuration first; `at` is its newest slot, None before the first.

    Returns:
        Of each `stream`, `id` (None for one of the configuration), `series`, `start`, `end`, `weekly`, `duration_s`,
        `timezone`, `learn`, `note`, and `state`: `running`, `ahead`, `over`, or `weekly` between two.
    """
    own = [_described(stream, settings, None, each, "", at) for each in settings.maintenance]
    return own + [_described(stream, settings, each.identity(stream), each.settings, each.note, at) for each in added]


def _described(
    stream: str, settings: StreamSettings, name: str | None, window: MaintenanceSettings, note: str, at: int | None
) -> dict[str, Any]:
    return {
        "stream": stream,
        "id": name,
        "series": window.series,
        "start": window.start,
        "end": window.end,
        "weekly": window.weekly,
        "duration_s": window.duration,
        "timezone": window.timezone or settings.timezone,
        "learn": window.learn,
        "note": note,
        "state": _state(MaintenanceWindow(window, settings.timezone), window, at, settings.interval),
    }


def _state(shape: MaintenanceWindow, window: MaintenanceSettings, at: int | None, interval_s: int) -> str:
    if at is not None:
        now = at + interval_s
        if shape.ends_at <= now:
            return "over"
        if shape.end_of(now, now + 1) is not None:
            return "running"
    return "weekly" if window.weekly else "ahead"
