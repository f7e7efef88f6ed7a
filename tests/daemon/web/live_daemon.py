"""A real daemon over readings made here: one series jumps, one has a name of any letters, one falls silent."""

from __future__ import annotations

import json
import math
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from daemon.web.api_document import PREFIX
from tests.e2e.processes import Daemon, tide, until

HOURS = 24 * 50
FIRST = 1_781_481_600  # a Monday in June 2026
ODD = 24 * 45 + 5
SILENT = 19


def readings() -> str:
    """Three series, hour by hour."""
    lines = ["timestamp,value,series"]
    for hour in range(HOURS):
        for k, name in enumerate(("harbour", "quay ü/1", "silent")):
            if name == "silent" and hour >= HOURS - SILENT:
                continue
            value = 2 + math.sin(hour * math.tau / 12.4 + k) + 0.05 * math.sin(hour * 7.3 + k)
            lines.append(f"{FIRST + 3600 * hour},{value + 9 * (k == 0 and hour == ODD):.4f},{name}")
    return "\n".join(lines) + "\n"


class LiveDaemon:
    """Started on entering, ended on leaving.

    Args:
        directory: For its files.
        http: Further settings of the section.

    Attributes:
        address: Where it answers.
        directory: Of its configuration.
    """

    def __init__(self, directory: Path, **http: Any) -> None:
        self.directory = directory
        (directory / "tide.csv").write_text(readings())
        settings = tide(retrain_every=300)
        settings["streams"]["tide"] |= {"format": {"series": "series"}}
        settings["http"] |= http
        self.config = directory / "tidegauge.yaml"
        self.config.write_text(yaml.safe_dump(settings))

    def __enter__(self) -> Self:
        self.process = Daemon(self.config)
        self.process.loaded()
        until("everything is read", lambda: self.process.has_read(3 * HOURS - SILENT), 300)
        self.address = self.process.address()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self.process:
            self.process.end()


def asked(address: str, path: str, **query: Any) -> tuple[int, Any]:
    """Status and JSON of a GET of the API."""
    url = f"{address}{PREFIX}{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def event_ids(address: str) -> list[str]:
    """Ids of all events, the newest first."""
    return [each["id"] for each in asked(address, "/events")[1]["events"]]
