"""History from Prometheus by its query API: range queries in bounded steps, as a file that can be replayed."""

from __future__ import annotations

import base64
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

import orjson

from daemon.config.units import parse_duration

SCHEMES = {"prometheus": "http", "prometheus+https": "https"}
POINTS = 10_000
"""Points of a series in one call; Prometheus answers at most 11,000."""
ANSWER_BYTES = 256 << 20
_TIMEOUT_S = 120.0

Progress = Callable[[int, int], None]


class QueryError(OSError):
    """The history cannot be had; the message says why."""


@dataclass(frozen=True, slots=True)
class RangeQuery:
    """What to ask, and whom.

    Attributes:
        url: Address of the server, without the path of its API.
        query: In PromQL.
        start_s, end_s: First and last instant, epoch seconds, multiples of `step_s`.
        step_s: Seconds from one point to the next.
        headers: Sent along.
    """

    url: str
    query: str
    start_s: int
    end_s: int
    step_s: int
    headers: Mapping[str, str]

    @classmethod
    def of(cls, text: str, step_s: int, now_s: float) -> Self:
        """The query that `prometheus://HOST:PORT/PREFIX?query=...&start=...` stands for.

        Args:
            text: `query` is PromQL; `start` and `end` are epoch seconds, ISO 8601 or how long ago (`30d`); `end` may be
                left out. `prometheus+https://` asks over TLS, `USER:PASSWORD@` before the host is sent along.
            step_s: The stream's interval.
            now_s: Epoch seconds.

        Raises:
            ValueError: It says none, or nothing that can be asked.
        """
        parts = urlsplit(text)
        given = parse_qs(parts.query, keep_blank_values=True)
        if odd := sorted(set(given) - {"query", "start", "end"}):
            raise ValueError(f"there is no parameter {odd[0]!r}; known are query, start and end")
        if not given.get("query", [""])[0].strip() or "start" not in given or not parts.hostname:
            raise ValueError(
                "give a host, a query and its start: prometheus://127.0.0.1:9090?query=node_load1&start=30d"
            )
        start, end = (_instant(given[key][0], now_s) if key in given else now_s for key in ("start", "end"))
        start_s, end_s = int(start // step_s) * step_s, int(end // step_s) * step_s
        if end_s <= start_s:
            raise ValueError(f"start {given['start'][0]!r} is not before the end")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        port = f":{parts.port}" if parts.port else ""
        headers = {}
        if parts.username is not None:
            credentials = f"{parts.username}:{parts.password or ''}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(credentials).decode()}"
        url = f"{SCHEMES[parts.scheme]}://{host}{port}{parts.path.rstrip('/')}"
        return cls(url, given["query"][0], start_s, end_s, step_s, headers)

    def write(self, path: Path, name: Callable[[Mapping[str, str]], str], progress: Progress) -> int:
        """Write its points to a file, in the order of time, as lines of `adapters.source_kind.OWN_LINES`; how many.

        Raises:
            QueryError: The server does not answer, or not with a range.
        """
        count, windows = 0, list(self._windows())
        with path.open("wb") as file:
            for number, (first, last) in enumerate(windows):
                progress(number, len(windows))
                points = sorted(
                    (at, orjson.dumps(name(each["metric"])), value)
                    for each in self._ask(first, last)
                    for at, value in each["values"]
                )
                file.writelines(
                    b'{"s":%b,"t":%d,"v":%b}\n' % (series, round(at * 1000), json.dumps(float(value)).encode())
                    for at, series, value in points
                )
                count += len(points)
        return count

    def _windows(self) -> Iterator[tuple[int, int]]:
        for first in range(self.start_s, self.end_s + 1, POINTS * self.step_s):
            yield first, min(first + (POINTS - 1) * self.step_s, self.end_s)

    def _ask(self, first: int, last: int) -> list[dict[str, Any]]:
        asked = urlencode({"query": self.query, "start": first, "end": last, "step": self.step_s}).encode()
        request = urllib.request.Request(f"{self.url}/api/v1/query_range", asked, dict(self.headers))
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
                body = answer.read(ANSWER_BYTES + 1)
        except urllib.error.HTTPError as error:
            raise QueryError(f"{self.url} answered {error.code}: {_said(error.read(10_000))}") from None
        except (OSError, ValueError) as error:
            raise QueryError(f"{self.url} cannot be asked: {getattr(error, 'reason', error)}") from None
        if len(body) > ANSWER_BYTES:
            raise QueryError(f"{self.url} answers with more than {ANSWER_BYTES >> 20} MiB; choose fewer series")
        try:
            data = orjson.loads(body)["data"]
            if data["resultType"] != "matrix":
                raise QueryError(f"{self.url} answers with a {data['resultType']}, not with a range")
            found: list[dict[str, Any]] = data["result"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise QueryError(f"{self.url} does not answer as Prometheus does") from None
        return found


def is_query(text: str) -> bool:
    """Whether this is such a query, not a file."""
    return text.partition("://")[0] in SCHEMES


def _said(body: bytes) -> str:
    try:
        return str(orjson.loads(body)["error"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return " ".join(body.decode(errors="replace").split())[:200]


def _instant(text: str, now_s: float) -> float:
    if re.fullmatch(r"[0-9]{1,12}(\.[0-9]+)?", text):
        return float(text)
    try:
        if re.fullmatch(r"([0-9]+[smhdw])+", text):
            return now_s - float(parse_duration(text))
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no instant; give epoch seconds, 2026-07-25T17:20:00Z, or 30d") from None
