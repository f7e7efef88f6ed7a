"""MQTT as a source, against a real mosquitto: what a session, a password and a certificate do, and what is bounded."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from adapters.base import Chunk, Position, Source
from adapters.brokers.mqtt_source import MqttSource
from adapters.mqtt_connection import Broker
from tests.adapters.brokers.mosquitto_process import MosquittoProcess
from tests.adapters.sockets.certificates import Authority
from tests.conftest import need
from tests.e2e.processes import until


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[MosquittoProcess]:
    with MosquittoProcess(tmp_path) as running:
        yield running


@pytest.fixture
def sources() -> Iterator[list[MqttSource]]:
    """Those that a test made, closed after it."""
    made: list[MqttSource] = []
    yield made
    for each in made:
        each.close()


def opened(
    sources: list[MqttSource], broker: Broker, position: Position | None = None, up: bool = True, **changes: Any
) -> MqttSource:
    """A source that is open, and connected where that is expected."""
    source = MqttSource("t/0", broker, **{"client": "c", "topics": ["tide/#"]} | changes)
    sources.append(source)
    source.open({} if position is None else {"t/0:messages": position})
    if up:
        until("it is up", lambda: source.status()["up"], every_s=0.01)
    return source


def taken(source: MqttSource, messages: int) -> Chunk:
    """The next so many messages, as one chunk."""
    until(f"{messages} messages", lambda: source.status()["messages"] >= messages, every_s=0.01)
    (chunk,) = source.poll(1 << 20)
    return chunk


def why(source: Source) -> str:
    """What `poll` fails of."""

    def fails() -> str:
        try:
            source.poll(1000)
        except OSError as error:
            return str(error)
        return ""

    return until("it fails", fails, every_s=0.01)


def series_of(chunk: Chunk) -> list[str]:
    return [span.series for span in chunk.spans]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_what_is_durable_is_not_given_again(
    protocol: str, mosquitto: MosquittoProcess, sources: list[MqttSource]
) -> None:
    """After a crash before the acknowledgement, what was journaled is known, and the rest comes in its order."""
    broker = Broker(mosquitto.url, protocol=protocol)
    first = opened(sources, broker)
    lines = [b"%d\n" % number for number in range(9)]
    mosquitto.publish(("tide/a", line) for line in lines)
    position = taken(first, 9).position_at(len(b"".join(lines[:4])), None)
    first.close()
    second = opened(sources, broker, position)
    chunk = taken(second, 5)
    assert chunk.data == b"".join(lines[4:])
    assert second.status()["repeated"] == 4
    second.committed({chunk.place: chunk.position_at(len(chunk.data), None)})
    second.close()
    third = opened(sources, broker, position)
    mosquitto.publish([("tide/a", b"10")])
    assert taken(third, 1).data == b"10\n", "what was acknowledged does not come again"
    assert third.status()["repeated"] == 0


def test_two_equal_messages_are_two(mosquitto: MosquittoProcess, sources: list[MqttSource]) -> None:
    """Only what the broker sends again is known again; the same payload published twice is given twice."""
    source = opened(sources, Broker(mosquitto.url))
    mosquitto.publish([("tide/a", b"1"), ("tide/a", b"1")])
    assert taken(source, 2).data == b"1\n1\n"


def test_a_forgotten_session_is_said(mosquitto: MosquittoProcess, sources: list[MqttSource]) -> None:
    """A broker that lost its sessions begins its numbers anew: equal messages are not taken for those known."""
    said: list[str] = []
    first = opened(sources, Broker(mosquitto.url))
    mosquitto.publish([("tide/a", b"1")])
    position = taken(first, 1).position_at(2, None)
    mosquitto.end()
    assert "is lost" in why(first)
    mosquitto.start()
    second = opened(
        sources, Broker(mosquitto.url), position, notice=lambda cause, message, **fields: said.append(message)
    )
    mosquitto.publish([("tide/a", b"1")])
    assert taken(second, 1).data == b"1\n"
    assert any("forgotten the session" in each for each in said)


@pytest.mark.parametrize(
    ("template", "names"), [(None, ["tide/quay/level", "tide/pier/level"]), ("{level2}", ["quay", "pier"])]
)
def test_series_are_named_by_topics(
    template: str | None, names: Sequence[str], mosquitto: MosquittoProcess, sources: list[MqttSource]
) -> None:
    """A series is the topic, or what a template makes of its levels; messages stay in the order they came in."""
    source = opened(sources, Broker(mosquitto.url), series=template)
    mosquitto.publish([("tide/quay/level", b"1"), ("tide/pier/level", b"2\n3"), ("tide/quay/level", b"")])
    chunk = taken(source, 3)
    assert series_of(chunk) == [names[0], names[1], names[0]]
    assert chunk.data == b"1\n2\n3\n\n"


def test_without_a_stamp_it_is_of_its_arrival(mosquitto: MosquittoProcess, sources: list[MqttSource]) -> None:
    """A number, or one in JSON, is of when it came; a retained message is of nobody knows when, and left out."""
    mosquitto.publish([("tide/a", b'{"t":{"c":7}}')], retain=True)
    clock: dict[str, Any] = {"stamped": False, "clock": lambda: 1784160000.25}
    plain = opened(sources, Broker(mosquitto.url), **clock)
    mosquitto.publish([("tide/a", b" 21.5 "), ("tide/a", b"ON")])
    assert taken(plain, 2).data == (
        b'{"s":"tide/a","t":1784160000250,"v":"21.5"}\n{"s":"tide/a","t":1784160000250,"v":"ON"}\n'
    )
    assert plain.status()["retained_ignored"] == 1
    json = opened(sources, Broker(mosquitto.url), client="d", field="t.c", **clock)
    mosquitto.publish([("tide/a", b'{"t":{"c":8.5},"x":1}'), ("tide/a", b'{"t":3}'), ("tide/a", b"ON")])
    assert taken(json, 3).data == (
        b'{"s":"tide/a","t":1784160000250,"v":8.5}\n{"s":"tide/a","t":1784160000250,"v":null}\nON\n'
    )


def test_no_more_than_may_be_in_flight(mosquitto: MosquittoProcess, sources: list[MqttSource]) -> None:
    """The broker holds back what is beyond `in_flight` until something is durable, and gives all of it then."""
    source = opened(sources, Broker(mosquitto.url), in_flight=10)
    mosquitto.publish(("tide/a", b"%d" % number) for number in range(25))
    chunk = taken(source, 10)
    # mosquitto 2.0.11 goes beyond it after the first acknowledgement, so only the first can be looked at
    assert len(chunk.spans) == source.status()["messages"] == 10
    got = chunk.data
    source.committed({chunk.place: chunk.position_at(len(chunk.data), None)})
    while got.count(b"\n") < 25:
        chunk = taken(source, got.count(b"\n") + 1)
        assert len(chunk.spans) <= 10
        got += chunk.data
        source.committed({chunk.place: chunk.position_at(len(chunk.data), None)})
    assert got == b"".join(b"%d\n" % number for number in range(25))


def test_positions_stay_short(mosquitto: MosquittoProcess, sources: list[MqttSource]) -> None:
    """A position names what the broker may send again, and nothing that it has confirmed."""
    source = opened(sources, Broker(mosquitto.url))
    for number in range(1, 4):
        mosquitto.publish([("tide/a", b"1")] * 50)
        chunk = taken(source, 50 * number)
        position = chunk.position_at(len(chunk.data), None)
        assert len(position["known"]) == len(chunk.spans)
        source.committed({chunk.place: position})
        until("the broker has confirmed it", lambda: not source._known, every_s=0.01)


def test_no_more_bytes_wait_than_may(mosquitto: MosquittoProcess, sources: list[MqttSource]) -> None:
    """Long messages are left with the broker once their bytes are too many; each comes when there is room."""
    source = opened(sources, Broker(mosquitto.url), waiting_bytes=100_000)
    mosquitto.publish(("tide/a", b"%d" % number * 40_000) for number in range(10))
    got: list[bytes] = []
    while len(got) < 10:
        chunk = taken(source, len(got) + 1)
        assert len(chunk.data) < 100_000 + 40_001
        got += chunk.data.splitlines()
        source.committed({chunk.place: chunk.position_at(len(chunk.data), None)})
    assert [each[:1] for each in got] == [b"%d" % number for number in range(10)]


def test_a_topic_that_is_not_wanted_any_more(mosquitto: MosquittoProcess, sources: list[MqttSource]) -> None:
    """Of a session that is subscribed to other topics too, these are left, and what waits of them goes no further."""
    first = opened(sources, Broker(mosquitto.url), topics=["tide/#", "wind/#"])
    mosquitto.publish([("tide/a", b"1")])
    chunk = taken(first, 1)
    position = chunk.position_at(2, None)
    first.committed({chunk.place: position})
    first.close()
    mosquitto.publish([("wind/a", b"2"), ("tide/a", b"3")])
    second = opened(sources, Broker(mosquitto.url), position)
    assert taken(second, 1).data.endswith(b"3\n")
    assert second.status()["unsubscribed_ignored"] == 1


def test_tls_and_a_password(tmp_path: Path, sources: list[MqttSource]) -> None:
    """With the right authority and password it connects; with others it says what is wrong."""
    authority, stranger = Authority(tmp_path, "authority"), Authority(tmp_path, "stranger")
    pair, passwords = authority.issue("broker"), tmp_path / "passwords"
    subprocess.run([need("mosquitto_passwd"), "-b", "-c", passwords, "quay", "s3cret"], check=True, capture_output=True)
    more = f"certfile {pair.certificate}\nkeyfile {pair.key}\nallow_anonymous false\npassword_file {passwords}\n"
    with MosquittoProcess(tmp_path, more) as mosquitto:
        url = f"mqtts://127.0.0.1:{mosquitto.port}"
        opened(sources, Broker(url, "quay", "s3cret", authority.file))
        wrong = opened(sources, Broker(url, "quay", "guess", authority.file), up=False)
        assert "refused: Not authorized" in why(wrong)
        other = opened(sources, Broker(url, "quay", "s3cret", stranger.file), up=False)
        assert "certificate verify failed" in why(other)


def test_somebody_else_by_its_name(mosquitto: MosquittoProcess, sources: list[MqttSource]) -> None:
    """Who is put out by another client of the same name says so."""
    first = opened(sources, Broker(mosquitto.url))
    opened(sources, Broker(mosquitto.url))
    assert "client identifier" in why(first)


def test_nobody_there(sources: list[MqttSource]) -> None:
    """An address at which nobody listens is an error of `poll`, not of `open`."""
    source = opened(sources, Broker("mqtt://127.0.0.1:1"), up=False)
    assert "refused" in why(source)
    assert source.status()["up"] == 0
