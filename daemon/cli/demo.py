"""The demonstration: the real daemon tails a file into which real readings are written, sped up.

The readings are river's WaterFlow: hourly flow through a pipeline branch, two months of 2022, with known disturbances.
"""

from __future__ import annotations

import csv
import importlib.resources
import os
import re
import select
import subprocess
import sys
import tempfile
import termios
import threading
import time
import tty
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import orjson

from daemon.engine.messages.events import Event
from daemon.presentation.console import event_line, progress, say

CONFIGURATION = """\
version: 1
state_dir: state
streams:
  water-flow:
    sources: [{{type: file, path: water-flow.csv}}]
    format: {{time: time, value: litres_per_second}}
    interval: 1h
    timezone: Europe/Rome
    clock: event
    warm_up: 3d
    model: {{retrain_every: 200}}
    drift: {{adopt_after: 7d}}
http: {{listen: "127.0.0.1:0"}}
log: {{level: info, format: plain}}
"""
START_S, QUIET_S = 120.0, 60.0
_LOOK = """
The page stays up: {address}/
  - the stream's state in words, its model, how many trainings there were, and what the next one waits for
  - the series with its last reading, what was expected of it with bounds, and its score (above 1 is anomalous)
  - the newest events: the leak of 24 March, its return, a spike on 3 April, the fall of 27 April, and the gaps
{address}/metrics has the same for Prometheus.
Press any key to end."""


def readings() -> list[tuple[str, str]]:
    """Stamp (ISO 8601 with zone) and value of each reading, in order, as river ships them."""
    file = importlib.resources.files("river.datasets") / "water-flow.csv"
    with file.open(encoding="utf-8") as lines:
        return [(row[0], row[1]) for row in list(csv.reader(lines))[1:]]


def run_demo(speed: float, keep: bool) -> int:
    """Run the demonstration; returns the exit status.

    Args:
        speed: Readings written a second.
        keep: Whether the daemon goes on running after the last reading until Ctrl-C; on a terminal it does so until a
            key is pressed.
    """
    with tempfile.TemporaryDirectory(prefix="tidegauge-demo-") as name:
        directory = Path(name)
        (directory / "tidegauge.yaml").write_text(CONFIGURATION.format())
        target = directory / "water-flow.csv"
        target.write_text("time,litres_per_second\n")
        command = [sys.executable, "-P", "-m", "daemon.cli", "run", "--config", str(directory / "tidegauge.yaml")]
        say(f"Starting the daemon in {directory} ...")
        daemon = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=directory)
        status = 0
        try:
            status = _watch(daemon, target, speed, keep)
        except KeyboardInterrupt:
            pass
        finally:
            daemon.terminate()
            daemon.wait()
    if not status:
        say("Nothing was left behind; `tidegauge init` begins your own.")
    return status


def _watch(daemon: subprocess.Popen[bytes], target: Path, speed: float, keep: bool) -> int:
    assert daemon.stdout is not None
    assert daemon.stderr is not None
    log = _Log(daemon.stderr)
    shown = _Shown(daemon.stdout)
    address = log.address(daemon)
    if address is None:
        say(f"The daemon did not start:\n{log.text()}", err=True)
        return 1
    rows = readings()
    say(f"Page {address}/   metrics {address}/metrics")
    say(f"{len(rows)} hourly readings from {rows[0][0]} to {rows[-1][0]}; the first 3 days are warm-up.\n")
    with progress("readings") as step, target.open("a", buffering=1) as file:
        for done, _ in enumerate(_paced(rows, speed, file), 1):
            step(done, len(rows))
    if not _caught_up(address, len(rows), daemon):
        say(f"The daemon did not read everything:\n{log.text()}", err=True)
        return 1
    time.sleep(0.5)  # the last event's way through the pipe
    say(f"\n{len(rows)} readings, {shown.opened} events.")
    if keep:
        say(f"The daemon runs on in {target.parent}, with its page at {address}/, until Ctrl-C.")
    elif sys.stdin.isatty() and sys.stdout.isatty():
        say(_LOOK.format(address=address))
        _wait_for_key(daemon)
    while keep and daemon.poll() is None:
        time.sleep(0.5)
    return 0


def _wait_for_key(daemon: subprocess.Popen[bytes]) -> None:
    """Until a key is pressed on the terminal, or the daemon ends; the terminal is as it was after that."""
    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    try:
        tty.setcbreak(number)
        while daemon.poll() is None and not select.select([number], [], [], 0.5)[0]:
            pass
        if daemon.poll() is None:
            os.read(number, 1)
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)


def _paced(rows: list[tuple[str, str]], speed: float, file: IO[str]) -> Iterator[None]:
    """Write a line at a time, `speed` of them a second."""
    began = time.monotonic()
    for i, (at, value) in enumerate(rows):
        wait = i / speed - (time.monotonic() - began)
        if wait > 0:
            time.sleep(wait)
        file.write(f"{at},{value}\n")
        yield


def _caught_up(address: str, readings_written: int, daemon: subprocess.Popen[bytes]) -> bool:
    """Wait until the daemon has counted every reading."""
    deadline = time.monotonic() + QUIET_S
    while time.monotonic() < deadline and daemon.poll() is None:
        with urllib.request.urlopen(f"{address}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        counts = re.findall(r"^tidegauge_readings_(?:accepted|rejected)_total\{.*\} (\S+)$", text, re.MULTILINE)
        if sum(float(count) for count in counts) >= readings_written:
            return True
        time.sleep(0.2)
    return False


class _Log:
    """Keeps the last lines of the daemon's log and finds its address in them."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: IO[bytes]) -> None:
        for raw in stream:
            self._lines = [*self._lines[-50:], raw.decode(errors="replace").rstrip()]

    def text(self) -> str:
        return "\n".join(self._lines)

    def address(self, daemon: subprocess.Popen[bytes]) -> str | None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and daemon.poll() is None:
            found = re.search(r"http://[\d.]+:\d+", self.text())
            if found and "state loaded" in self.text():
                return found[0]
            time.sleep(0.1)
        return None


class _Shown:
    """Prints each event that the daemon prints, in words."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.opened = 0
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream: IO[bytes]) -> None:
        for raw in stream:
            event = Event.from_json(orjson.loads(raw))
            self.opened += event.revision == 0
            if event.revision == 0 or event.state == "closed":
                say(event_line(event))
