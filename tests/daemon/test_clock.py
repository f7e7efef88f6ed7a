"""The wall clock is read in one module."""

from __future__ import annotations

import ast
import time
from pathlib import Path

import pytest

from daemon import clock
from tests.conftest import ROOT

CLOCK = ROOT / "daemon" / "clock.py"
WALL = {
    "time": {"time", "time_ns", "localtime", "gmtime", "ctime", "asctime", "strftime", "CLOCK_REALTIME", "CLOCK_TAI"},
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
}
"""Names by which Python's own modules tell what the time is, by the name that stands before the point."""


def readings_of_the_clock(source: str) -> list[str]:
    """Where a module reads the wall clock, or takes a function that does by its name alone: `line: what`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            owner = getattr(node.value, "attr", getattr(node.value, "id", ""))
            if node.attr in WALL.get(owner, ()):
                found.append(f"{node.lineno}: {owner}.{node.attr}")
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            found += [f"{node.lineno}: from time import {a.name}" for a in node.names if a.name in WALL["time"]]
        elif isinstance(node, ast.Import):
            found += [f"{node.lineno}: {a.name} as {a.asname}" for a in node.names if a.name in WALL and a.asname]
    return found


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import time\nx = time.time()", ["2: time.time"]),
        ("import time\ndef f(clock=time.time_ns): ...", ["2: time.time_ns"]),
        ("import datetime\nx = datetime.datetime.now()", ["2: datetime.now"]),
        ("from datetime import date\nx = date.today()", ["2: date.today"]),
        ("from time import time", ["1: from time import time"]),
        ("import time as t", ["1: time as t"]),
        ("import time\nx = time.clock_gettime(time.CLOCK_REALTIME)", ["2: time.CLOCK_REALTIME"]),
        ("import time\nx = time.monotonic(), time.clock_gettime_ns(time.CLOCK_MONOTONIC)", []),
        ("from datetime import datetime\nx = datetime.fromtimestamp(0, None)", []),
    ],
)
def test_readings_of_the_clock_are_found(source: str, expected: list[str]) -> None:
    """Calls, functions handed on and other names are found; how long something took is no matter of the wall clock."""
    assert readings_of_the_clock(source) == expected


def test_nothing_else_in_the_daemon_reads_the_wall_clock() -> None:
    """daemon/clock.py alone asks what the time is, so that a test or a simulation can say it."""
    files = [path for path in (ROOT / "daemon").rglob("*.py") if path != CLOCK]
    assert len(files) > 100
    assert {_name(path): found for path in files if (found := readings_of_the_clock(path.read_text("utf-8")))} == {}
    assert readings_of_the_clock(CLOCK.read_text("utf-8"))


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_both_units_are_of_one_instant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Milliseconds are whole and rounded down, seconds have their fraction."""
    monkeypatch.setattr(time, "time_ns", lambda: 1_785_000_000_123_999_999)
    monkeypatch.setattr(time, "time", lambda: 1_785_000_000.124)
    assert (clock.wall_ms(), clock.wall_s()) == (1_785_000_000_123, 1_785_000_000.124)
