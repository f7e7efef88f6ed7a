"""Small inputs and configurations for commands."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

CONFIGURATION = """\
version: 1
state_dir: {directory}/state
streams:
  tide:
    sources: [{source}]
    format: {{series: gauge}}
    interval: {interval}
    clock: event
    warm_up: 4d
    model: {{window: 8, copies: 1, retrain_every: 100}}
    alerts: {{limits: {{max: 100}}}}
http: {{listen: "{listen}"}}
log: {{format: plain}}
"""
READINGS = 300


def configuration(
    directory: Path,
    source: str = "{type: file, path: tide.csv}",
    interval: str = "1h",
    listen: str = "127.0.0.1:0",
    name: str = "tidegauge.yaml",
) -> Path:
    """A configuration file of one stream with the series label in a column."""
    path = directory / name
    path.write_text(CONFIGURATION.format(directory=directory, source=source, interval=interval, listen=listen))
    return path


def readings(path: Path, start: int = 0, stop: int = READINGS, step: timedelta = timedelta(hours=1)) -> Path:
    """A file of readings of one tide gauge; from the 200th on the 0th of every 50 is above the limit."""
    begin = datetime(2026, 3, 1, tzinfo=UTC)
    lines = ["timestamp,gauge,value"]
    for i in range(start, stop):
        value = 50 + 30 * math.sin(i * math.tau / 12.42) + math.sin(i * i)
        value += 90 if i >= 200 and i % 50 == 0 else 0
        lines.append(f"{begin + i * step:%Y-%m-%dT%H:%M:%SZ},pier,{value:.4f}")
    path.write_text("\n".join(lines) + "\n")
    return path
