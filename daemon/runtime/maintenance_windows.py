"""Maintenance windows that an operator adds and ends while the daemon runs, through the journal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from daemon.config.maintenance_settings import MaintenanceSettings, MaintenanceWindow
from daemon.config.settings import Settings
from daemon.config.units import parse_duration
from daemon.engine.kernel.slots import NEVER
from daemon.engine.machine.added_windows import MOST_ADDED, AddedWindow, AddedWindows, described
from daemon.engine.machine.stream import Stream
from daemon.engine.messages.inputs import Maintained
from daemon.presentation.words import instant
from daemon.runtime.durable import DurableEngine
from daemon.runtime.label_evidence import YEAR_10000, check_bounds
from daemon.store import StoreView
from models.archive import unpack


@dataclass(frozen=True, slots=True)
class WantedWindow:
    """What an operator wants; times as the configuration writes them.

    Attributes:
        stream: Name of the stream; None for all.
        series: Pattern with * and ? of the series that are meant.
        start: Beginning; None: now, which is where the stream is under `clock: event`.
        end: Its end; of a weekly one, none begins from then on.
        weekly: Days and a time at which one begins every week.
        duration: How long it lasts, such as `2h`, in place of an end, or of one that is weekly.
        timezone: Zone of these times; None: the stream's.
        learn: Whether its readings are judged and learned from.
        note: Why, for people.
    """

    stream: str | None = None
    series: str = "*"
    start: str | None = None
    end: str | None = None
    weekly: str | None = None
    duration: str | None = None
    timezone: str | None = None
    learn: bool = True
    note: str = ""


@dataclass(frozen=True, slots=True)
class UnwantedWindow:
    """A window that an operator ends now, or that is not to begin: the beginning of what it is called by."""

    id: str


def add_window(durable: DurableEngine, wanted: WantedWindow, now_ms: int) -> dict[str, Any]:
    """Add a window to a stream, or to all of them.

    Returns:
        `windows`, as `described` has each.

    Raises:
        ValueError: It cannot be; nothing was journaled.
    """
    check_bounds(0, None, wanted.note)
    streams = durable.engine.streams
    if wanted.stream is not None and wanted.stream not in streams:
        raise ValueError(f"there is no stream {wanted.stream!r}")
    names = sorted(streams) if wanted.stream is None else [wanted.stream]
    items = [_added(streams[name], wanted, now_ms) for name in names]
    durable.apply(items, {}, now_ms)
    return {"windows": [_said(streams[item.stream], AddedWindow(item.window, item.note)) for item in items]}


def end_window(durable: DurableEngine, unwanted: UnwantedWindow, now_ms: int) -> dict[str, Any]:
    """End a window that was added: now, or before it begins.

    Returns:
        `windows`, as `described` has each; of one that had not begun `end` is its start.

    Raises:
        ValueError: There is none, or several; nothing was journaled.
    """
    found = [
        (stream, each)
        for stream in durable.engine.streams.values()
        for each in stream.maintenance.added.windows
        if unwanted.id and each.identity(stream.name).startswith(unwanted.id.lower())
    ]
    if len(found) != 1:
        raise ValueError(
            f"more than one window begins with {unwanted.id!r}; write more of it"
            if found
            else f"no window that was added is called {unwanted.id!r}; tidegauge maintenance list shows them, and "
            "those of the configuration end there"
        )
    ((stream, window),) = found
    now = _now(stream, now_ms)
    shape = MaintenanceWindow(window.settings, stream.settings.timezone)
    if shape.ends_at <= now:
        raise ValueError(f"window {unwanted.id} is over since {instant(int(shape.ends_at))}")
    begun = shape.starts_at < now
    ended = window._replace(window=window.window | {"end": _text(now)}) if begun else window
    durable.apply([Maintained(stream.name, ended.window, ended.note, not begun, now_ms)], {}, now_ms)
    return {"windows": [_said(stream, ended) | ({} if begun else {"end": ended.window["start"]})]}


def _added(stream: Stream, wanted: WantedWindow, now_ms: int) -> Maintained:
    """The input that adds a window to one stream."""
    now = _now(stream, now_ms)
    given: dict[str, Any] = {"series": wanted.series, "start": wanted.start or _text(now), "learn": wanted.learn}
    given |= {"end": wanted.end, "weekly": wanted.weekly, "timezone": wanted.timezone, "duration": wanted.duration}
    if wanted.weekly is None and wanted.end is None:
        if wanted.duration is None:
            raise ValueError("how long? give an end, or how long it lasts")
        given |= {"end": _after(given["start"], wanted, stream), "duration": None}
    try:
        settings = MaintenanceSettings.model_validate({k: v for k, v in given.items() if v is not None})
        shape = MaintenanceWindow(settings, stream.settings.timezone)
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        where = ".".join(map(str, found["loc"]))
        raise ValueError(f"{where}: {found['msg']}".lstrip(": ").replace("Value error, ", "")) from None
    except (OverflowError, OSError):
        raise ValueError("the window lies before 1970 or after 9999") from None
    if not all(0 <= at < YEAR_10000 or at == float("inf") for at in (shape.starts_at, shape.ends_at)):
        raise ValueError("the window lies before 1970 or after 9999")
    if shape.ends_at <= now:
        raise ValueError(
            f"that window is over: {stream.name} is at {instant(now)}; tidegauge exclude takes a period out afterwards"
        )
    window = AddedWindow(settings.model_dump(mode="json", exclude_defaults=True), wanted.note)
    others = [each for each in stream.maintenance.added.windows if each.key != window.key]
    if len([each for each in others if _ends(each, stream) > now]) >= MOST_ADDED:
        raise ValueError(f"{stream.name} has {MOST_ADDED} windows that were added already; end some")
    return Maintained(stream.name, window.window, wanted.note, False, now_ms)


def _after(start: str, wanted: WantedWindow, stream: Stream) -> str:
    """When a window that is not weekly ends."""
    zone = ZoneInfo(stream.settings.timezone)
    try:
        seconds = parse_duration(wanted.duration)
        zone = ZoneInfo(wanted.timezone) if wanted.timezone else zone
        begin = datetime.fromisoformat(start)
        begin = begin if begin.tzinfo else begin.replace(tzinfo=zone)
        return _text(int(begin.timestamp()) + seconds)
    except (ValueError, OverflowError, KeyError, OSError) as error:
        raise ValueError(f"how long, or from when: {error}") from None


def _ends(window: AddedWindow, stream: Stream) -> float:
    return MaintenanceWindow(window.settings, stream.settings.timezone).ends_at


def _said(stream: Stream, window: AddedWindow) -> dict[str, Any]:
    at = None if stream.schedule.greatest == NEVER else stream.slots.at(stream.schedule.greatest)
    return described(stream.name, stream.settings.model_copy(update={"maintenance": []}), [window], at)[0]


def _now(stream: Stream, now_ms: int) -> int:
    """Where the stream is, epoch seconds: the wall clock, or the end of the newest slot."""
    if stream.settings.clock == "wall" or stream.schedule.greatest == NEVER:
        return now_ms // 1000
    return stream.slots.at(stream.schedule.greatest + 1)


def _text(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def recorded(view: StoreView, settings: Settings) -> list[dict[str, Any]]:
    """All windows, as the newest checkpoint that can be read and the journal since know them, beside no daemon."""
    seq, data = next(view.checkpoints(), (0, b""))
    known = unpack(data)[0]["streams"] if data else {}
    added = {name: AddedWindows() for name in settings.streams}
    at: dict[str, int] = {}
    for name, windows in added.items():
        meta = known.get(name, {})
        windows.restore(meta.get("maintenance", []))
        if (greatest := meta.get("greatest", NEVER)) != NEVER:
            at[name] = greatest * settings.stream(name).interval
    for item in view.maintained(seq):
        if (put := added.get(item.stream)) is not None:
            zone = settings.stream(item.stream).timezone
            put.put(AddedWindow(item.window, item.note), item.dropped, at.get(item.stream, 0), zone)
    return [
        window
        for name, windows in added.items()
        for window in described(name, settings.stream(name), windows.windows, at.get(name))
    ]
