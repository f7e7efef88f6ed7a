"""Playing a file of readings to a live daemon at a chosen speed, as if they were happening now."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from adapters.base import Format
from adapters.text import series_of
from daemon.config.settings import Settings
from daemon.intake.construction import make_format
from daemon.replay.targets import Target

Progress = Callable[[int, int], None]


def speed_of(text: str) -> float | None:
    """The factor of `100x`; None when the text is none."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)x?", text)
    return float(match[1]) or None if match else None


def stamped_lines(path: Path, fmt: Format) -> Iterator[tuple[bytes, float | None]]:
    """Each line with its event time in epoch seconds; None for a header or a line that is no reading."""
    header: str | None = None
    with path.open("rb") as file:
        for raw in file:
            line = raw if raw.endswith(b"\n") else raw + b"\n"
            readings, header = fmt.parse(line, series_of(path), header)
            yield line, float(readings.at_ms[0]) / 1000 if len(readings) else None


def play(
    path: Path,
    settings: Settings,
    stream: str,
    target: Target,
    factor: float,
    progress: Progress,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Send the lines of `path` to `target`, each when its time has come, and wait until it has them.

    Args:
        path: File of readings in the stream's format.
        settings: The configuration.
        stream: The stream whose format it has.
        target: Takes the lines; left open.
        factor: How many times as fast as it happened.
        progress: Called with bytes written and bytes in all.
        sleep: Waits so many seconds.
        clock: Monotonic seconds.

    Returns:
        Lines sent.

    Raises:
        OSError: The target does not take them.
    """
    fmt = make_format(settings.streams[stream], settings.limits)
    total, written, lines = path.stat().st_size, 0, 0
    headless = settings.streams[stream].format.columns is not None
    began, first = clock(), None
    for number, (line, at_s) in enumerate(stamped_lines(path, fmt)):
        if headless and number == 0 and at_s is None:  # names of columns, which such a stream takes for a bad line
            written += len(line)
            continue
        if at_s is not None:
            first = at_s if first is None else first
            wait = (at_s - first) / factor - (clock() - began)
            if wait > 0:
                sleep(wait)
        target.write(line)
        written += len(line)
        lines += 1
        progress(written, total)
    target.finish()
    return lines


def header_line(path: Path, fmt: Format) -> bytes:
    """The header line of a file with its newline, b"" when its format has none or it shows none near its start."""
    with path.open("rb") as file:
        head = file.read(1 << 16)
    _, header = fmt.parse(head[: head.rfind(b"\n") + 1], series_of(path), None)
    return f"{header}\n".encode() if header else b""
