"""Lines of the log in their three formats."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from daemon.runtime import logs
from daemon.runtime.logs import RateLimited


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Logging as it was."""
    root, quiet = logging.getLogger(), ("aiohttp.access", "aiohttp.server", "apscheduler", "asyncio", "numba")
    kept = root.handlers[:], root.level, {name: logging.getLogger(name).level for name in quiet}
    yield
    root.handlers[:], levels = kept[0], kept[2]
    root.setLevel(kept[1])
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(False)


def written(format: Literal["plain", "json", "journald"], level: str = "debug", **extra: Any) -> str:
    """One error of the logger tidegauge, with its traceback when `error` is given."""
    out = io.StringIO()
    logs.configure(level, format, out)
    try:
        raise RuntimeError("first\nsecond")
    except RuntimeError:
        logs.log.warning("file truncated", exc_info=extra.pop("traceback", False), extra=extra)
    return out.getvalue()


def test_plain_lines_have_their_fields() -> None:
    """Time, level, constant message, then the data; values with spaces or quotes are quoted."""
    line = written("plain", path="/var/spool/a.csv", lost=3, why='said "no"')
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z WARNING file truncated path=/var/spool/a\.csv lost=3 "
        r'why="said \\"no\\""\n',
        line,
    )


def test_a_value_cannot_forge_a_line() -> None:
    """Line ends, escapes and control characters in data stay on the line, in every format."""
    evil = "x\n<3>forged\r\x1b[31m\u2028"
    assert written("plain", path=evil).count("\n") == 1
    assert "\x1b" not in written("plain", path=evil)
    assert written("journald", path=evil).count("\n") == 1
    assert json.loads(written("json", path=evil))["path"] == "x\n<3>forged\\r\\x1b[31m\\u2028"


def test_a_message_cannot_forge_a_line() -> None:
    """Neither can the message of a library."""
    out = io.StringIO()
    logs.configure("info", "plain", out)
    logging.getLogger("library").warning("got %s", "a\nb\x1b")
    assert out.getvalue().count("\n") == 1
    assert "\x1b" not in out.getvalue()


def test_journald_lines_have_their_priority() -> None:
    """Errors 3, warnings 4, information 6, debugging 7; no time, which the journal adds."""
    out = io.StringIO()
    logs.configure("debug", "journald", out)
    for level in (logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG):
        logs.log.log(level, "opened", extra={"place": "a"})
    assert out.getvalue().splitlines() == [f"<{priority}>opened place=a" for priority in (3, 4, 6, 7)]


def test_every_line_of_a_traceback_has_its_priority() -> None:
    """The journal takes each line for itself, so each carries the level."""
    lines = written("journald", traceback=True).splitlines()
    assert len(lines) > 3
    assert all(line.startswith("<4>") for line in lines)


def test_json_lines_are_objects() -> None:
    """One object a line with at, level, logger, message, the fields as they are, and the traceback."""
    row = json.loads(written("json", traceback=True, lost=3, path=Path("/a"), odd="\udcff"))
    assert (row["level"], row["logger"], row["message"]) == ("warning", "tidegauge", "file truncated")
    assert (row["lost"], row["path"], row["odd"]) == (3, "/a", "\\xff")
    assert row["traceback"].endswith("RuntimeError: first\nsecond")


def test_a_field_cannot_hide_the_message() -> None:
    """`level` and `at` of the line are the line's own, whatever data is called."""
    row = json.loads(written("json", level_="x", at="never", logger="evil"))
    assert row["logger"] == "tidegauge"
    assert row["at"] != "never"


def test_levels_hold_back_what_is_less_severe() -> None:
    """Below the level nothing is written."""
    assert written("plain", level="error") == ""


def test_configuring_again_replaces() -> None:
    """A reload changes format and level; no line is written twice."""
    first, second = io.StringIO(), io.StringIO()
    logs.configure("info", "plain", first)
    logs.configure("warning", "json", second)
    logs.log.info("quiet")
    logs.log.error("loud")
    assert first.getvalue() == ""
    assert [json.loads(line)["message"] for line in second.getvalue().splitlines()] == ["loud"]


def test_warnings_go_to_the_log() -> None:
    """What a library warns of is a line like any other."""
    out = io.StringIO()
    logs.configure("info", "journald", out)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old way", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(False)
    assert out.getvalue().startswith("<4>")
    assert "old way" in out.getvalue()


def test_auto_is_journald_only_where_standard_error_is_the_journal(tmp_path: Path) -> None:
    """$JOURNAL_STREAM must name the very stream: a redirected standard error gets plain lines."""
    path = tmp_path / "stderr"
    script = "from daemon.runtime import logs; logs.configure(); logs.log.warning('opened')"
    for same in (True, False):
        with path.open("w") as stream:
            status = os.fstat(stream.fileno())
            named = f"{status.st_dev}:{status.st_ino if same else 1}"
            environment = {**os.environ, "JOURNAL_STREAM": named}
            subprocess.run([sys.executable, "-c", script], stderr=stream, env=environment, check=True, timeout=60)
        assert path.read_text().startswith("<4>opened" if same else "20")


def test_a_cause_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """The first time at once, then once a minute with how many were held back; other causes are not held back."""
    now = [0.0]
    limited = RateLimited(clock=lambda: now[0])
    with caplog.at_level(logging.WARNING, logger="tidegauge"):
        assert limited.warning("a", "file cannot be read", path="a")
        assert not any(limited.warning("a", "file cannot be read", path="a") for _ in range(99))
        assert limited.warning("b", "file cannot be read", path="b")
        now[0] = 59.9
        assert not limited.error("a", "file cannot be read", path="a")
        now[0] = 60.0
        assert limited.error("a", "file cannot be read", path="a")
    seen = [(record.levelname, vars(record)["path"], vars(record).get("held_back")) for record in caplog.records]
    assert seen == [("WARNING", "a", None), ("WARNING", "b", None), ("ERROR", "a", 100)]


def test_any_number_of_causes_takes_bounded_memory() -> None:
    """Causes are remembered up to a limit, the oldest forgotten first."""
    quiet = logging.getLogger("tests.quiet")
    quiet.setLevel(logging.CRITICAL)
    limited = RateLimited(quiet, most_causes=10, clock=lambda: 0.0)
    for cause in range(1000):
        limited.warning(str(cause), "x")
    assert not limited.warning("999", "x")
    assert limited.warning("0", "x")
    assert len(limited._causes) == 10
