"""NATS as a source, against a real server: what a consumer, a stream and a password do, and what is bounded."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext

from adapters.base import Chunk, Position
from adapters.brokers import nats_source
from adapters.brokers.nats_source import NatsSource
from tests.adapters.brokers.nats_process import NatsProcess
from tests.adapters.brokers.test_mqtt_source import series_of, why
from tests.adapters.sockets.certificates import Authority
from tests.e2e.processes import until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsProcess]:
    with NatsProcess(tmp_path) as running:
        running.add("TIDE", "tide.>")
        yield running


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not acknowledged is delivered again soon."""
    monkeypatch.setattr(nats_source, "_ACK_WAIT_S", 1.0)


@pytest.fixture
def sources() -> Iterator[list[NatsSource]]:
    """Those that a test made, closed after it."""
    made: list[NatsSource] = []
    yield made
    for each in made:
        each.close()


def opened(
    sources: list[NatsSource],
    url: str,
    positions: dict[str, Position] | None = None,
    up: bool = True,
    **changes: Any,
) -> NatsSource:
    """A source that is open, and connected where that is expected."""
    source = NatsSource("t/0", url, **{"consumer": "c", "subject": "tide.>"} | changes)
    sources.append(source)
    source.open(positions or {})
    if up:
        until("it is up", lambda: source.status()["up"], every_s=0.01)
    return source


def taken(source: NatsSource, messages: int) -> Chunk:
    """The next so many messages, as one chunk."""
    until(f"{messages} messages", lambda: source.status()["messages"] >= messages, every_s=0.01)
    (chunk,) = source.poll(1 << 20)
    return chunk


def end_of(chunk: Chunk) -> dict[str, Position]:
    return {chunk.place: chunk.position_at(len(chunk.data), None)}


def pending(server: NatsProcess) -> int:
    """How many messages the consumer waits to hear of."""
    return int(server.ask(lambda stream: stream.consumer_info("TIDE", "c")).num_ack_pending)


def test_what_was_not_durable_comes_first_and_at_once(server: NatsProcess, sources: list[NatsSource]) -> None:
    """After a crash what was delivered and not journaled is given before anything newer, each message once."""
    first = opened(sources, server.url)
    server.publish(("tide.a", b"%d" % number) for number in range(6))
    chunk = taken(first, 6)
    position = chunk.position_at(4, None)
    first.close()
    server.publish(("tide.a", b"%d" % number) for number in range(6, 9))
    second = opened(sources, server.url, {chunk.place: position})
    chunk = taken(second, 7)
    assert chunk.data == b"2\n3\n4\n5\n6\n7\n8\n"
    second.committed(end_of(chunk))
    until("all is acknowledged", lambda: pending(server) == 0, every_s=0.1)
    assert second.status()["repeated"] > 0, "what the first was given is delivered again, and known"
    second.close()
    third = opened(sources, server.url, end_of(chunk))
    server.publish([("tide.a", b"9")])
    assert taken(third, 1).data == b"9\n"


def test_a_state_without_positions_goes_on_at_the_consumer(server: NatsProcess, sources: list[NatsSource]) -> None:
    """With a fresh state directory the consumer says how far things were: what it was not told of comes again."""
    first = opened(sources, server.url)
    server.publish(("tide.a", b"%d" % number) for number in range(4))
    chunk = taken(first, 4)
    first.committed({chunk.place: chunk.position_at(4, None)})
    first.close()
    assert taken(opened(sources, server.url), 2).data == b"2\n3\n"


def test_a_consumer_that_is_gone(server: NatsProcess, sources: list[NatsSource]) -> None:
    """Positions count, not the consumer: one that was deleted is made again where the readings end."""
    first = opened(sources, server.url)
    server.publish(("tide.a", b"%d" % number) for number in range(4))
    chunk = taken(first, 4)
    first.close()
    server.ask(lambda stream: stream.delete_consumer("TIDE", "c"))
    second = opened(sources, server.url, {chunk.place: chunk.position_at(6, None)})
    assert taken(second, 1).data == b"3\n"


def test_a_stream_that_was_made_anew(server: NatsProcess, sources: list[NatsSource]) -> None:
    """A stream of the same name that counts from 1 again is read from its start, and the old place is forgotten."""
    first = opened(sources, server.url)
    server.publish(("tide.a", b"%d" % number) for number in range(4))
    chunk = taken(first, 4)
    first.close()
    server.ask(lambda stream: stream.delete_stream("TIDE"))
    server.add("TIDE", "tide.>")
    server.publish([("tide.a", b"new")])
    second = opened(sources, server.url, end_of(chunk))
    assert taken(second, 1).data == b"new\n"
    assert second.forgotten() == [chunk.place]


def test_a_queue_that_forgets_what_is_acknowledged(tmp_path: Path, sources: list[NatsSource]) -> None:
    """A stream that keeps messages until they are acknowledged keeps them until they are durable."""
    with NatsProcess(tmp_path) as server:
        server.add("TIDE", "tide.>", retention="workqueue")
        source = opened(sources, server.url)
        server.publish([("tide.a", b"1"), ("tide.a", b"2")])
        chunk = taken(source, 2)
        source.committed({chunk.place: chunk.position_at(2, None)})
        until("one is left", lambda: server.ask(lambda all_: all_.stream_info("TIDE")).state.messages == 1)
        source.close()
        again = opened(sources, server.url, {chunk.place: chunk.position_at(2, None)})
        assert taken(again, 1).data == b"2\n"


def test_series_are_named_by_subjects(server: NatsProcess, sources: list[NatsSource]) -> None:
    """A series is the subject, or what a template makes of its tokens."""
    server.publish([("tide.quay.level", b"1"), ("tide.pier.level", b"2\n3")])
    assert series_of(taken(opened(sources, server.url), 2)) == ["tide.quay.level", "tide.pier.level"]
    named = opened(sources, server.url, series="{token2}", consumer="d")
    assert series_of(taken(named, 2)) == ["quay", "pier"]


def test_no_more_than_may_wait(server: NatsProcess, sources: list[NatsSource]) -> None:
    """No more messages are asked for than may be in flight, nor more bytes than may wait; all come in the end."""
    server.publish(("tide.a", b"%d" % (number % 10) * 20_000) for number in range(30))
    source = opened(sources, server.url, in_flight=10, waiting_bytes=100_000)
    got: list[bytes] = []
    while len(got) < 30:
        chunk = taken(source, len(got) + 1)
        assert len(chunk.spans) <= 10
        got += chunk.data.splitlines()
        source.committed(end_of(chunk))
    assert [each[:1] for each in got] == [b"%d" % (number % 10) for number in range(30)]


def test_somebody_else_by_its_consumer(server: NatsProcess, sources: list[NatsSource]) -> None:
    """A consumer is read by one: what went to another is noticed, and nothing is passed over."""
    source = opened(sources, server.url)

    async def steal(stream: Any) -> None:
        other = await stream.pull_subscribe_bind("c", "TIDE")
        await other.fetch(1, timeout=5)

    for _ in range(20):  # the server serves one of the two
        server.publish([("tide.a", b"1")])
        try:
            server.ask(steal)
            break
        except Exception:  # the source was first
            continue
    server.publish([("tide.a", b"2")])
    assert "nobody else may use it" in why(source)


def test_a_request_without_time_left(
    server: NatsProcess, sources: list[NatsSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that ran out of time is made again, whichever of its two errors the client raises."""
    fetch, errors = JetStreamContext.PullSubscription.fetch, [TimeoutError(), NatsTimeoutError()]

    async def late(*given: Any, **named: Any) -> Any:
        if errors:
            raise errors.pop()
        return await fetch(*given, **named)

    monkeypatch.setattr(JetStreamContext.PullSubscription, "fetch", late)
    source = opened(sources, server.url)
    server.publish([("tide.a", b"1")])
    assert series_of(taken(source, 1)) == ["tide.a"]
    assert not errors


def test_what_cannot_be_read_is_said(server: NatsProcess, sources: list[NatsSource]) -> None:
    """No stream with the subject, a consumer of another subject, nobody at the address: each in words."""
    assert "no stream of" in why(opened(sources, server.url, up=False, subject="wind.>"))
    opened(sources, server.url)
    assert "name another" in why(opened(sources, server.url, up=False, subject="tide.a"))
    assert "cannot be had" in why(opened(sources, "nats://127.0.0.1:1", up=False))


def test_a_server_that_is_gone(server: NatsProcess, sources: list[NatsSource]) -> None:
    """A connection that is lost is an error of `poll`."""
    source = opened(sources, server.url)
    server.end()
    assert "is lost" in why(source)
    assert source.status()["up"] == 0


def test_tls_and_a_password(tmp_path: Path, sources: list[NatsSource]) -> None:
    """With the right authority and password it connects; with others it says what is wrong."""
    authority, stranger = Authority(tmp_path, "authority"), Authority(tmp_path, "stranger")
    pair = authority.issue("broker")
    more = f'tls {{ cert_file: "{pair.certificate}", key_file: "{pair.key}" }}\n'
    more += "authorization { user: quay, password: s3cret }\n"
    context = ssl.create_default_context(cafile=authority.file)
    options = {"user": "quay", "password": "s3cret", "tls": context}
    with NatsProcess(tmp_path, more, **options) as server:
        server.add("TIDE", "tide.>")
        url = f"tls://127.0.0.1:{server.port}"
        opened(sources, url, user="quay", password="s3cret", ca=authority.file)
        wrong = opened(sources, url, user="quay", password="guess", ca=authority.file, up=False)
        assert "authorization" in why(wrong).lower()
        other = opened(sources, url, user="quay", password="s3cret", ca=stranger.file, up=False)
        assert "certificate" in why(other).lower()
