"""Logging to standard error: constant messages, data as fields; plain, JSON, or with journald's priorities."""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import orjson

from adapters.text import printable, shown

log = logging.getLogger("tidegauge")
"""The logger of everything that has none of its own."""

Format = Literal["auto", "plain", "json", "journald"]

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_PLAIN_VALUE = re.compile(r"[\w./:@%+,-]+")
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7))
_QUIET = ("aiohttp.access", "aiohttp.server", "apscheduler", "asyncio", "numba")


def configure(level: str = "info", format: Format = "auto", stream: TextIO | None = None) -> None:
    """Log to standard error from now on; may be called again (reload).

    Args:
        level: Least severe level that is logged.
        format: `auto` is journald's where standard error is the journal, else plain.
        stream: Instead of standard error.
    """
    target = sys.stderr if stream is None else stream
    formatters = {"plain": PlainFormatter, "json": JsonFormatter, "journald": JournalFormatter}
    chosen = ("journald" if is_journal(target) else "plain") if format == "auto" else format
    handler = logging.StreamHandler(target)
    handler.setFormatter(formatters[chosen]())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(True)


def is_journal(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a stream is connected to systemd's journal: $JOURNAL_STREAM names its device and inode."""
    named = environment.get("JOURNAL_STREAM", "")
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return named == f"{status.st_dev}:{status.st_ino}"


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """What was given as `extra`."""
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


class PlainFormatter(logging.Formatter):
    """`2026-07-25T17:20:00Z WARNING message key=value`, one line; a traceback follows on its own lines."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, with its traceback if there is one."""
        return _with_traceback(f"{_at(record)} {record.levelname} {_text(record)}", record, self)


class JournalFormatter(logging.Formatter):
    """`<4>message key=value`: journald takes the number for the priority and adds the time itself."""

    def format(self, record: logging.LogRecord) -> str:
        """The lines, each with its prefix: journald reads line by line."""
        priority = next(number for least, number in _PRIORITIES if record.levelno >= least)
        lines = _with_traceback(_text(record), record, self).split("\n")
        return "\n".join(f"<{priority}>{line}" for line in lines)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `at`, `level`, `logger`, `message`, the fields, and `traceback`."""

    def format(self, record: logging.LogRecord) -> str:
        """The object."""
        row: dict[str, Any] = {
            **shown(fields(record)),
            "at": _at(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": shown(record.getMessage()),
        }
        if record.exc_info:
            row["traceback"] = shown(self.formatException(record.exc_info))
        return orjson.dumps(
            row,
            default=lambda value: printable(str(value)),
            option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY,
        ).decode()


def _at(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(record: logging.LogRecord) -> str:
    message = printable(record.getMessage())
    return " ".join([message, *(f"{key}={_value(value)}" for key, value in fields(record).items())])


def _value(value: object) -> str:
    text = str(value)
    if _PLAIN_VALUE.fullmatch(text):
        return text
    return printable(orjson.dumps(shown(text)).decode())


def _with_traceback(text: str, record: logging.LogRecord, formatter: logging.Formatter) -> str:
    return f"{text}\n{formatter.formatException(record.exc_info)}" if record.exc_info else text


class RateLimited:
    """Logs each cause at once, then at most once in `every_s`, saying how often it was held back.

    Args:
        logger: Where to.
        every_s: Least seconds between two lines of one cause.
        most_causes: Causes remembered; the one that was logged longest ago is forgotten first.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        logger: logging.Logger = log,
        every_s: float = 60.0,
        most_causes: int = 1000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logger, self._every_s, self._most, self._clock = logger, every_s, most_causes, clock
        self._causes: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._lock = threading.Lock()

    def log(self, level: int, cause: str, message: str, **extra: object) -> bool:
        """Log `message` with fields unless its cause was logged a moment ago; returns whether it was."""
        now = self._clock()
        with self._lock:
            at, held_back = self._causes.get(cause, (-float("inf"), 0))
            if now - at < self._every_s:
                self._causes[cause] = (at, held_back + 1)
                return False
            self._causes[cause] = (now, 0)
            self._causes.move_to_end(cause)
            while len(self._causes) > self._most:
                self._causes.popitem(last=False)
        more = {"held_back": held_back} if held_back else {}
        self._logger.log(level, message, extra={**extra, **more})
        return True

    def warning(self, cause: str, message: str, **extra: object) -> bool:
        """`log` at level warning."""
        return self.log(logging.WARNING, cause, message, **extra)

    def error(self, cause: str, message: str, **extra: object) -> bool:
        """`log` at level error."""
        return self.log(logging.ERROR, cause, message, **extra)
