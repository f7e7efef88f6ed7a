"""Which stream and which instants a command is about, and the settings it runs under."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from daemon.cli.app import fail
from daemon.config.file import load, of_options
from daemon.config.settings import Settings
from daemon.config.units import parse_duration


def choose_stream(settings: Settings, wanted: str | None) -> str:
    """The stream a command is about."""
    names = list(settings.streams)
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted not in settings.streams:
        fail(f"which stream? --stream is one of {', '.join(names)}", 2)
    return wanted


def stream_name(text: str) -> str:
    """`text` as a stream's name: what it may not have is `_`."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", text)[:64].lstrip("-") or "_"


def given(**options: Any) -> dict[str, Any]:
    """The options that were given, by configuration key: `format_time` is `format.time`."""
    return {key.replace("format_", "format."): option for key, option in options.items() if option is not None}


def settings_of(
    config: Path | None, stream: str | None, default: str, options: Mapping[str, Any]
) -> tuple[Settings, str]:
    """The settings of a configuration's stream, or without one of a stream of defaults, and the stream's name.

    Args:
        config: The configuration; None for defaults.
        stream: Its stream, or what to call the one of defaults.
        default: What to call that one where `stream` is None; any text.
        options: The command line's options by key within the stream, on top of either.
    """
    if config is None:
        name = stream_name(stream or default)
        return of_options(name, options), name
    name = choose_stream(load(config), stream)
    return load(config, {f"streams.{name}.{key}": value for key, value in options.items()}), name


def epoch(text: str | None) -> int | None:
    """Epoch seconds of an ISO 8601 instant; without a zone it is UTC."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{text!r} is no instant; write one such as 2026-03-01 or 2026-03-01T12:30+01:00", 2)
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())


def instant_or_ago(option: str, text: str | None) -> tuple[int | None, int | None]:
    """Epoch seconds of an instant, or the seconds of a duration such as `30d`; neither where nothing is given."""
    if text is None:
        return None, None
    if re.fullmatch(r"([0-9]+[smhdw])+", text):
        try:
            return None, parse_duration(text)
        except ValueError as error:
            fail(f"{option} {text}: {error}", 2)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{option} {text!r} is neither how long ago nor an instant; write 30d, or 2026-03-01T12:30+01:00", 2)
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()), None
