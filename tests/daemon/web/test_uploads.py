"""What is posted for sources: told when it is durable, refused with one line that says why, bounded whatever comes."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.uploads.inbox import Inboxes
from daemon.config.file import load
from daemon.engine.messages.inputs import Batch
from daemon.intake.intake import Intake
from daemon.web import uploads
from daemon.web.web_auth import Access
from daemon.web.web_config import WebConfig
from tests.daemon.web.http_server import Answer, ask, server
from tests.e2e.processes import until

HEAD = b"timestamp,series,value\n"
LINES = HEAD + b"".join(b"2024-05-01T%02d:00:00Z,a,%d\n" % (hour, hour) for hour in range(20))
PATH = "/api/v1/readings"


class Pipe:
    """A stream's intake on a thread of its own, as the pipeline has it; what it takes is durable at once."""

    def __init__(self, directory: Path, source: str, streams: str = "meters") -> None:
        path = directory / "tidegauge.yaml"
        entries = "".join(
            f"  {name}: {{sources: [{source}], format: {{series: series}}}}\n" for name in streams.split()
        )
        path.write_text(f"version: 1\nstreams:\n{entries}")
        settings = load(path, serving=True)
        self.inboxes = Inboxes()
        self.intakes = [Intake.of(n, s, settings.limits, self.inboxes) for n, s in settings.streams.items()]
        self.readings, self.held = 0, threading.Event()
        self.series: list[str] = []
        self.values: list[float] = []
        self.at_ms: list[int] = []
        self.rejected: Counter[str] = Counter()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.wait(0.005):
            if self.held.is_set():
                continue
            for intake in self.intakes:
                if (taken := intake.poll(0)) is not None:
                    self._keep(taken.batch)
                    intake.committed(taken)

    def _keep(self, batch: Batch) -> None:
        self.readings += len(batch)
        self.series += [batch.series[code] for code in batch.codes.tolist()]
        self.values += batch.values[:, 0].tolist()
        self.at_ms += batch.at_ms.tolist()
        self.rejected.update(batch.rejected)

    @contextmanager
    def running(self) -> Iterator[Pipe]:
        for intake in self.intakes:
            intake.open({})
        self._thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            self._thread.join()
            for intake in self.intakes:
                intake.close()


def posted(pipe: Pipe, *bodies: dict[str, Any], **given: Any) -> list[Answer]:
    """The answers to posts, one after the other."""

    async def run() -> list[Answer]:
        async with server(inboxes=pipe.inboxes, **given) as address:
            return [await ask(f"{address}{each.pop('path', PATH)}", "POST", **each) for each in bodies]

    return asyncio.run(run())


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Pipe]:
    with Pipe(tmp_path, "{type: http, body_bytes: 4KiB}").running() as running:
        yield running


def test_it_is_told_what_became_of_it(pipe: Pipe) -> None:
    """200 says how many lines were readings and why the others were none; a body sent again counts once."""
    bad = LINES + b"2024-05-02T00:00:00Z,a,x\nhello\n"
    first, again, packed = posted(
        pipe,
        {"data": bad},
        {"data": bad},
        {"data": gzip.compress(LINES) + gzip.compress(b"2024-05-03,a,1"), "headers": {"Content-Encoding": "gzip"}},
    )
    assert first.status == again.status == packed.status == 200
    told = {"readings": 20, "rejected": {"bad_value": 1, "malformed": 1}, "repeated": False}
    assert json.loads(first.body) == told
    assert json.loads(again.body) == {"readings": 0, "rejected": {}, "repeated": True}
    assert json.loads(packed.body)["readings"] == 21
    assert pipe.readings == 41


def test_a_key_tells_bodies_apart(pipe: Pipe) -> None:
    """The same bytes under another Idempotency-Key are another body; another body under the same key is none."""
    one, two, three = posted(
        pipe,
        {"data": LINES, "headers": {"Idempotency-Key": "1"}},
        {"data": LINES, "headers": {"Idempotency-Key": "2"}},
        {"data": HEAD, "headers": {"Idempotency-Key": "2"}},
    )
    assert [json.loads(each.body)["repeated"] for each in (one, two, three)] == [False, False, True]
    assert pipe.readings == 40


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        ({"data": bytes(5000)}, 413, "4096 bytes"),
        ({"data": gzip.compress(bytes(100_000)), "headers": {"Content-Encoding": "gzip"}}, 413, "unpack to 4096"),
        ({"data": b"abc", "headers": {"Content-Encoding": "gzip"}}, 400, "not gzip"),
        ({"data": gzip.compress(LINES)[:-9], "headers": {"Content-Encoding": "gzip"}}, 400, "not whole gzip"),
        ({"data": LINES, "headers": {"Content-Encoding": "br"}}, 415, "send identity or gzip"),
        ({"data": LINES, "path": f"{PATH}?stream=none"}, 404, "has no source of type http"),
        ({"data": LINES, "path": f"{PATH}?streem=meters"}, 400, "known are series, stream"),
        ({"data": LINES, "headers": {"Idempotency-Key": "k" * 201}}, 400, "longer than 200"),
    ],
)
def test_what_cannot_be_taken_says_why(pipe: Pipe, body: dict[str, Any], status: int, why: str) -> None:
    """A 4xx is one line of JSON with the reason, nothing of the body counts, and the next one is taken."""
    refused, taken = posted(pipe, body, {"data": LINES})
    assert (refused.status, taken.status) == (status, 200)
    assert why in json.loads(refused.body)["error"]
    assert refused.body.count(b"\n") == 0
    assert pipe.readings == 20


def test_a_body_of_unknown_length_is_bounded(pipe: Pipe) -> None:
    """A chunked body that goes on and on is refused at the limit, not read to its end."""

    async def endless() -> Any:
        while True:
            yield bytes(1000)

    async def run() -> Answer:
        async with server(inboxes=pipe.inboxes) as address:
            return await ask(f"{address}{PATH}", "POST", data=endless())

    assert asyncio.run(run()).status == 413


def test_several_streams_need_a_name(tmp_path: Path) -> None:
    """With one stream its name may be left out, with two it may not; a stream without such a source is 404."""
    with Pipe(tmp_path, "{type: http}", "one two").running() as pipe:
        unnamed, named = posted(pipe, {"data": LINES}, {"data": LINES, "path": f"{PATH}?stream=two"})
    assert (unnamed.status, named.status) == (400, 200)
    assert "one, two" in unnamed.text
    with Pipe(tmp_path, "{type: file, path: none.csv}").running() as pipe:
        (answer,) = posted(pipe, {"data": LINES})
    assert answer.status == 404


def test_nothing_is_told_before_it_is_durable(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the journal waits a sender is told to come again; the body counts once, however often it came."""
    monkeypatch.setattr(uploads, "DURABLE_S", 0.2)
    pipe.held.set()
    first, second = posted(pipe, {"data": LINES}, {"data": LINES})
    assert [(each.status, each.headers["Retry-After"]) for each in (first, second)] == [(503, "2")] * 2
    pipe.held.clear()
    (third,) = posted(pipe, {"data": LINES})
    assert third.status == 200
    assert pipe.readings == 20


def test_what_waits_is_bounded(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond what may wait a body is refused with 429 and when to come again, and taken then."""
    monkeypatch.setattr(uploads, "DURABLE_S", 0.05)
    pipe.held.set()
    inbox = pipe.inboxes.find("http", "meters")
    assert inbox is not None
    monkeypatch.setattr(inbox, "_most", 1000)
    answers = posted(pipe, {"data": LINES}, {"data": LINES + b"\n"})
    assert [each.status for each in answers] == [503, 429]
    assert "Retry-After" in answers[1].headers
    assert inbox.status()["refused_full"] == 1
    pipe.held.clear()
    until("there is room again", lambda: posted(pipe, {"data": LINES + b"\n"})[0].status == 200)


@pytest.mark.parametrize("when", ["not ready", "closed"])
def test_a_daemon_that_starts_or_reloads_is_not_one_without_the_stream(pipe: Pipe, when: str) -> None:
    """503, so that a sender repeats; 404 or 400 would make it drop what it has."""
    ready: Callable[[], tuple[bool, str]] = lambda: (when != "not ready", "starting")  # noqa: E731
    if when == "closed":
        pipe.intakes[0].sources[0].close()
    (answer,) = posted(pipe, {"data": LINES}, ready=ready)
    assert answer.status == 503
    assert "send it again" in answer.text


def test_it_is_guarded_as_all_else(pipe: Pipe) -> None:
    """Without the password 401, from a page of another site 403; neither is read."""
    access = Access(WebConfig(users={"u": b"$2b$04$" + b"a" * 53}))
    unknown, foreign = posted(
        pipe, {"data": LINES}, {"data": LINES, "headers": {"Origin": "http://evil.example"}}, access=access
    )
    assert (unknown.status, foreign.status) == (401, 403)
    assert pipe.readings == 0
