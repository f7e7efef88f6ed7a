"""What the HTTP server answers, over real connections."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import time
from pathlib import Path
from typing import Any

import pytest

from daemon.engine.messages.events import Event
from daemon.store import EventFilter, Store, StoreDamaged
from daemon.web import connections
from daemon.web.records import Records
from tests.daemon.web.http_server import Answer, ask, asked, served, talk
from tests.daemon.web.pictures import NOW, columns, event, picture, stream


def test_metrics_come_in_the_text_format() -> None:
    """Without a wish, a scrape gets the Prometheus text format."""
    answer = asked("/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'tidegauge_reading{series="nyc",stream="taxi",variable="value"} 100.0' in answer.text


def test_metrics_come_as_openmetrics_to_those_who_prefer_it() -> None:
    """The Accept header of a real Prometheus gets OpenMetrics, with its end mark."""
    accept = (
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;q=0.5"
    )
    answer = asked("/metrics", request={"headers": {"Accept": accept}})
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")


@pytest.mark.parametrize(
    ("offer", "zipped"), [("gzip", True), ("br, gzip;q=1", True), ("gzip;q=0", False), ("", False)]
)
def test_metrics_are_compressed_only_where_the_client_can(offer: str, zipped: bool) -> None:
    """gzip is used when offered and not refused, and is then really gzip."""

    async def work(address: str) -> bytes:
        request = f"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: {offer}\r\nConnection: close\r\n\r\n"
        return await talk(address, request.encode())

    head, _, body = served(work).partition(b"\r\n\r\n")
    assert (b"Content-Encoding: gzip" in head) is zipped
    assert b"tidegauge_reading" in (gzip.decompress(body) if zipped else body)


def test_health_is_200_or_503() -> None:
    """A pipeline that makes no progress is unhealthy, with words."""
    assert asked("/-/healthy").status == 200
    answer = asked("/-/healthy", healthy=lambda: False)
    assert (answer.status, answer.text) == (503, "503 the pipeline makes no progress\n")


def test_readiness_says_why_not() -> None:
    """Until state is loaded the answer is 503 and says what it waits for."""
    assert asked("/-/ready").status == 200
    answer = asked("/-/ready", ready=lambda: (False, "recovering: 3 of 9 journal entries"))
    assert (answer.status, answer.text) == (503, "503 recovering: 3 of 9 journal entries\n")


class Reloads:
    """A reload that counts its calls, or finds something wrong."""

    def __init__(self, problem: str = "", done: bool = True) -> None:
        self.calls, self.problem, self.done = 0, problem, done

    async def __call__(self) -> bool:
        """See `daemon.web.routes.Reload`."""
        self.calls += 1
        if self.problem:
            raise ValueError(self.problem)
        return self.done


def test_reload_is_asked_for_with_post() -> None:
    """POST runs the reload once; GET does not and says which method does."""
    reload = Reloads()
    assert asked("/-/reload", "POST", reload=reload).status == 200
    answer = asked("/-/reload", reload=reload)
    assert (answer.status, answer.headers["Allow"], reload.calls) == (405, "POST", 1)


def test_a_refused_configuration_is_told() -> None:
    """A reload that finds errors answers 500 with them."""
    answer = asked("/-/reload", "POST", reload=Reloads("tidegauge.yaml: streams is empty"))
    assert answer.status == 500
    assert "tidegauge.yaml: streams is empty" in answer.text


def test_a_reload_that_waits_is_accepted() -> None:
    """While the pipeline waits for a training the client is not kept: 202, and where to look."""
    answer = asked("/-/reload", "POST", reload=Reloads(done=False))
    assert (answer.status, "the log will say" in answer.text) == (202, True)


def test_a_foreign_page_cannot_reload() -> None:
    """A browser names the page's origin with a POST; one that is not ours is refused, our own is not."""
    reload = {"reload": (counted := Reloads())}
    assert asked("/-/reload", "POST", request={"headers": {"Origin": "http://evil.example"}}, **reload).status == 403
    assert counted.calls == 0

    async def work(address: str) -> Answer:
        return await ask(f"{address}/-/reload", "POST", headers={"Origin": address})

    assert served(work, **reload).status == 200


def test_the_status_has_streams_with_their_warm_up() -> None:
    """JSON: state in words, share of the warm-up, when ready, what was counted, readiness of the daemon."""
    warming = stream("pumps", columns(["a", "b"], status="warming"), model=None)
    body = json.loads(asked("/api/v1/status", shown=picture(stream(), warming)).body)
    assert body["streams"]["taxi"]["state"] == "watching 1 series"
    assert body["streams"]["taxi"]["readings"]["rejected"] == {"malformed": 3}
    pumps = body["streams"]["pumps"]
    assert pumps["state"] == "warming up: 63 %, ready about 2026-07-26 17:20 UTC"
    assert pumps["warm_up"] == {"share": 0.63, "first_ready_at": NOW + 86_400, "all_ready_at": NOW + 86_400}
    assert pumps["series"]["warming"] == 2
    assert (body["ready"], body["not_ready"], body["store"]["journal_seq"]) == (True, None, 17)


def test_series_come_by_score() -> None:
    """The greatest score first over all streams, at most `limit`, one stream on request, and how many there are."""
    shown = picture(stream("a", columns(["x", "y", "z"])), stream("b", columns(["w"], status="warming")))

    async def work(address: str) -> list[Any]:
        paths = ("?limit=2", "?stream=b", "?stream=c")
        return [json.loads((await ask(f"{address}/api/v1/series{path}")).body) for path in paths]

    top, one, none = served(work, shown=shown)
    assert [row["series"] for row in top["series"]] == ["z", "y"]
    assert top["total"] == 4
    assert top["series"][0]["upper"] == [103.0]
    assert (one["series"][0]["series"], one["series"][0]["score"], one["series"][0]["expected"]) == ("w", None, None)
    assert none == {"error": "there is no stream 'c'", "streams": ["a", "b"]}


def test_events_are_asked_for_as_the_query_says() -> None:
    """Stream, series, reason, since (in seconds or ISO 8601) and limit reach the search, which looks for one more."""
    seen: list[tuple[EventFilter, int]] = []

    def events(wanted: EventFilter, limit: int) -> list[dict[str, Any]]:
        seen.append((wanted, limit))
        return [event()]

    body = asked(
        "/api/v1/events?stream=taxi&series=n%20y&reason=gap&since=2026-07-25T17:20:00Z&limit=7", events=events
    ).body
    assert json.loads(body)["events"][0]["id"] == "0123456789abcdef"
    assert asked("/api/v1/events?since=1785000000", events=events).status == 200
    assert seen == [
        (EventFilter("taxi", "n y", "gap", NOW), 8),
        (EventFilter(since=NOW), 101),
    ]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limit=", "limit=%C2%B2", f"limit={'9' * 5000}"])
def test_an_impossible_limit_is_400(query: str) -> None:
    """What is no number from 1 to 1000 is refused with words, never an error of ours."""
    answer = asked(f"/api/v1/series?{query}")
    assert answer.status == 400
    assert "give a number from 1 to 1000" in json.loads(answer.body)["error"]


@pytest.mark.parametrize("since", ["yesterday", "", "9" * 40, "-", "2026-13-01", "%C2%B2"])
def test_an_impossible_since_is_400(since: str) -> None:
    """What is no instant is refused with words, never an error of ours."""
    assert asked(f"/api/v1/events?since={since}").status == 400


@pytest.mark.parametrize("path", ["/nope", "/metrics/", "/-/", "/api/v1/", "/favicon.ico", "/..%2f..%2fetc/passwd"])
def test_unknown_paths_are_404(path: str) -> None:
    """Nothing but the documented paths answers, and what does not says so once."""
    answer = asked(path)
    assert (answer.status, answer.text) == (404, "404 Not Found\n")


@pytest.mark.parametrize(
    "path", ["/", "/metrics", "/-/healthy", "/-/ready", "/api/v1/status", "/api/v1/events", "/nope"]
)
def test_head_has_headers_and_no_body(path: str) -> None:
    """HEAD answers like GET without the body; security headers are on every answer, errors included."""
    answer = asked(path, "HEAD")
    assert answer.status == (404 if path == "/nope" else 200)
    assert answer.body == b""
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "Python" not in answer.headers["Server"]


def test_an_error_of_ours_is_500_without_details(caplog: pytest.LogCaptureFixture) -> None:
    """What broke goes to the log, not to the client."""

    def broken(wanted: EventFilter, limit: int) -> list[dict[str, Any]]:
        raise RuntimeError("secret path")

    with caplog.at_level(logging.ERROR, logger="tidegauge"):
        answer = asked("/api/v1/events", events=broken)
    assert (answer.status, "secret" in answer.text) == (500, False)
    assert any("secret path" in vars(record).get("error", "") for record in caplog.records)


def test_a_slow_search_does_not_hold_up_health() -> None:
    """The event list is read in other threads: health answers meanwhile."""

    def slow(wanted: EventFilter, limit: int) -> list[dict[str, Any]]:
        time.sleep(0.6)
        return []

    async def work(address: str) -> float:
        waiting = asyncio.create_task(ask(f"{address}/api/v1/events"))
        await asyncio.sleep(0.1)
        began = time.monotonic()
        assert (await ask(f"{address}/-/healthy")).status == 200
        took = time.monotonic() - began
        await waiting
        return took

    assert served(work, events=slow) < 0.4


def test_a_request_that_takes_too_long_is_503(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request has its deadline, whatever it waits for."""
    monkeypatch.setattr(connections, "REQUEST_S", 0.2)

    async def reload() -> None:
        await asyncio.sleep(60)

    assert asked("/-/reload", "POST", reload=reload).status == 503


def test_the_picture_is_asked_for_anew() -> None:
    """Each scrape shows the newest picture."""
    counts = iter(range(100, 200))

    async def work(address: str) -> list[str]:
        texts = [(await ask(f"{address}/metrics")).text for _ in range(2)]
        return [line for text in texts for line in text.splitlines() if line.startswith("tidegauge_readings_accepted")]

    first, second = served(work, shown=lambda: picture(stream(accepted=next(counts))))
    assert first != second


def test_recorded_events_are_the_newest_first(tmp_path: Path) -> None:
    """Of a long list the newest come, one revision each, filtered; without a database there are none."""
    find = Records(tmp_path).events
    assert find(EventFilter(), 5) == []
    made = [
        Event.from_json(event(id=f"{n:016x}", revision=r, series=f"s{n % 10}", started_at=NOW + n, ended_at=NOW + n))
        for n in range(60)
        for r in (0, 1)
    ]
    with Store.open(tmp_path) as store:
        store.record_events(made)
    newest = find(EventFilter(), 3)
    assert [(each.id, each.revision) for _, each in newest] == [(f"{n:016x}", 1) for n in (59, 58, 57)]
    rare = find(EventFilter("taxi", "s3", since=NOW + 20), 50)
    assert [each.started_at - NOW for _, each in rare] == [53, 43, 33, 23]


def test_events_that_cannot_be_read_are_no_failure_of_the_page() -> None:
    """A malformed database: the API answers 503 in one line, the page says so and shows all the rest."""

    def events(wanted: EventFilter, limit: int) -> list[dict[str, Any]]:
        raise StoreDamaged("tidegauge.db: is malformed")

    answer = asked("/api/v1/events", events=events)
    assert (answer.status, answer.body) == (503, b"503 tidegauge.db: is malformed\n")
    answer = asked("/", events=events)
    assert answer.status == 200
    assert b"events cannot be read: tidegauge.db: is malformed" in answer.body
