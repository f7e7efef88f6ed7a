"""Kafka as a source, against librdkafka's own mock cluster: what partitions, keys and offsets do, what is bounded."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.base import Chunk, Position
from adapters.brokers import kafka_source
from adapters.brokers.kafka_source import KafkaSource
from adapters.uploads.inbox import Inboxes
from daemon.config.document import ConfigError
from daemon.config.file import load
from daemon.config.settings import Settings
from daemon.intake.intake import Intake
from tests.adapters.brokers.kafka_cluster import PARTITIONS, KafkaCluster
from tests.adapters.brokers.test_mqtt_source import series_of, why
from tests.e2e.processes import until


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster]:
    with pytest.MonkeyPatch.context() as patch, KafkaCluster() as running:
        patch.setattr(kafka_source, "FETCH_WAIT_MS", 5)
        patch.setattr(kafka_source, "_POLL_S", 0.01)
        patch.setattr(kafka_source, "_CONNECT_S", 3.0)
        yield running


@pytest.fixture
def topic(request: pytest.FixtureRequest, cluster: KafkaCluster) -> str:
    """A topic of its own, with all its partitions, empty but for a tombstone in the last."""
    name = request.node.name.replace("[", "-").replace("]", "")
    cluster.publish([(name, None, None)], PARTITIONS - 1)
    return str(name)


@pytest.fixture
def sources() -> Iterator[list[KafkaSource]]:
    """Those that a test made, closed after it."""
    made: list[KafkaSource] = []
    yield made
    for each in made:
        each.close()


def opened(
    sources: list[KafkaSource], url: str, topic: str, positions: dict[str, Position] | None = None, **changes: Any
) -> KafkaSource:
    """A source that is open, and has fetched all that there is."""
    source = KafkaSource("t/0", url, **{"consumer": "c", "topics": [topic]} | changes)
    sources.append(source)
    source.open(positions or {})
    until(
        "all is fetched", lambda: source.status()["up"] and all(q.ended for q in source._queues.values()), every_s=0.01
    )
    return source


def taken(source: KafkaSource) -> dict[str, Chunk]:
    """All that waits, by its place; one chunk each."""
    return {chunk.place: chunk for chunk in source.poll(1 << 20)}


def test_each_partition_goes_on_where_its_readings_end(
    cluster: KafkaCluster, topic: str, sources: list[KafkaSource]
) -> None:
    """A position is a partition's own; what the group knows, or another consumer reads, does not matter."""
    for number in range(2):
        cluster.publish([(topic, "a", b"%d%d" % (number, each)) for each in range(5)], number)
    first = opened(sources, cluster.url, topic)
    chunks = taken(first)
    positions = {place: chunk.position_at(3 * (n + 1), None) for n, (place, chunk) in enumerate(sorted(chunks.items()))}
    assert positions == {f"t/0:{topic}/0": {"offset": 1}, f"t/0:{topic}/1": {"offset": 2}}
    first.close()
    cluster.publish([(topic, "a", b"15")], 1)
    second = taken(opened(sources, cluster.url, topic, positions))
    assert [second[place].data for place in sorted(second)] == [b"01\n02\n03\n04\n", b"12\n13\n14\n15\n"]


def test_series_are_named_by_keys(cluster: KafkaCluster, topic: str, sources: list[KafkaSource]) -> None:
    """A series is the message's key, or its topic where it has none, or what a template makes of both."""
    cluster.publish([(topic, "quay", b"1"), (topic, None, b"2\n3")])
    (chunk,) = taken(opened(sources, cluster.url, topic)).values()
    assert series_of(chunk) == ["quay", topic]
    (chunk,) = taken(opened(sources, cluster.url, topic, series="{topic}/{key}")).values()
    assert series_of(chunk) == [f"{topic}/quay", f"{topic}/"]


def test_what_the_broker_has_dropped_is_counted(cluster: KafkaCluster, topic: str, sources: list[KafkaSource]) -> None:
    """Before its first message, or beyond its last: it begins at what there is, and an operator reads why."""
    cluster.publish([(topic, "a", b"1"), (topic, "a", b"2")])
    said: list[str] = []

    def notice(cause: str, message: str, **fields: object) -> None:
        said.append(message)

    made_anew = opened(sources, cluster.url, topic, {f"t/0:{topic}/0": {"offset": 90}}, notice=notice)
    assert taken(made_anew)[f"t/0:{topic}/0"].data == b"1\n2\n"
    assert said == ["the broker's partition ends before what is durable of it; it is read from its start"]
    cluster.publish([(topic, "a", b"%06d" % each + b"x" * 20_000) for each in range(2, 400)])  # the mock keeps 5 MiB
    positions: dict[str, Position] = {f"t/0:{topic}/0": {"offset": 1}}
    dropped = opened(sources, cluster.url, topic, positions, notice=notice, waiting_bytes=64 << 20)
    gone = int(dropped.status()["messages_gone"])
    assert gone > 50 and "dropped messages" in said[-1]
    (chunk,) = dropped.poll(1 << 20)
    assert chunk.data.startswith(b"%06d" % (gone + 1))


def test_places_of_other_topics_are_forgotten(cluster: KafkaCluster, topic: str, sources: list[KafkaSource]) -> None:
    """A position of a topic that is not read any more need not be kept."""
    source = opened(sources, cluster.url, topic, {"t/0:old/0": {"offset": 3}, f"t/0:{topic}/0": {"offset": 0}})
    assert source.forgotten() == ["t/0:old/0"]


def test_tombstones_are_no_lines(cluster: KafkaCluster, topic: str, sources: list[KafkaSource]) -> None:
    """A message without a value says that a key is to be forgotten; it is counted and passed over."""
    cluster.publish([(topic, "a", b"1"), (topic, "a", None), (topic, "a", b"2")])
    source = opened(sources, cluster.url, topic)
    (chunk,) = taken(source).values()
    assert (chunk.data, chunk.position_at(2, None), chunk.position_at(4, None)) == (
        b"1\n2\n",
        {"offset": 1},
        {"offset": 3},
    )
    assert source.status()["tombstones"] == 2, "one of them is the topic's first"


def test_no_more_than_may_wait(cluster: KafkaCluster, topic: str, sources: list[KafkaSource]) -> None:
    """A partition that nobody takes from is fetched no further than its share; all comes in the end."""
    cluster.publish([(topic, "a", b"%06d" % each + b"x" * 2000) for each in range(2000)])
    source = KafkaSource("t/0", cluster.url, topics=[topic], consumer="c", waiting_bytes=1 << 20)
    sources.append(source)
    source.open({})
    until("it is paused", lambda: any(each.paused for each in source._queues.values()), every_s=0.01)
    assert source.status()["lag_bytes"] < (1 << 20) // PARTITIONS + 2_100 * kafka_source._AT_ONCE
    assert source.status()["lag_messages"] > 0 and f"t/0:{topic}/0" in source.backlog()
    got: list[bytes] = []

    def all_came() -> bool:
        for chunk in source.poll(1 << 20):
            got.extend(chunk.data.splitlines())
        return len(got) == 2000

    until("all", all_came, every_s=0.005)
    assert [int(each[:6]) for each in got] == list(range(2000))


def test_partitions_that_are_behind_are_merged(cluster: KafkaCluster, topic: str) -> None:
    """A day that waits in three partitions is read in order of time, as files are."""
    for number in range(3):
        rows = [b"%d,%d" % (1_784_160_000 + 600 * each, each) for each in range(number, 300, 3)]
        cluster.publish([(topic, f"m{number}", row) for row in rows], number)
    source = {"type": "kafka", "url": cluster.url, "consumer": "c", "topics": [topic]}
    stream = {"sources": [source], "interval": "10m", "format": {"columns": ["timestamp", "value"]}}
    settings = Settings.model_validate({"version": 1, "streams": {"t": stream}})
    intake = Intake.of("t", settings.streams["t"], settings.limits, Inboxes())
    intake.open({})
    at_ms: list[int] = []

    def all_came() -> bool:
        if (found := intake.poll(0)) is not None:
            at_ms.extend(found.batch.at_ms.tolist())
        return len(at_ms) == 300

    until("all", all_came, every_s=0.005)
    intake.close()
    assert at_ms == sorted(at_ms)


def test_partitions_that_are_added_are_read(
    cluster: KafkaCluster, topic: str, sources: list[KafkaSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partition that was not there is read from its start; of the others nothing that was fetched ahead is lost."""
    monkeypatch.setattr(kafka_source, "_LOOK_EVERY_S", 0.05)
    cluster.publish([(topic, "a", b"%06d" % each + b"x" * 2000) for each in range(1500)])
    other = f"{topic}-more"
    cluster.publish([(other, None, None)], PARTITIONS - 1)
    source = KafkaSource("t/0", cluster.url, topics=[topic], consumer="c", waiting_bytes=1 << 20)
    sources.append(source)
    source.open({})
    until("it is up", lambda: source.status()["up"], every_s=0.01)
    cluster.publish([(other, "b", b"new")])
    source._topics.append(other)  # what the mock cannot do: partitions of a topic never grow there
    got: dict[str, list[bytes]] = {}

    def all_came() -> bool:
        for chunk in source.poll(100_000):
            got.setdefault(chunk.place, []).extend(each[:6] for each in chunk.data.splitlines())
        return sum(map(len, got.values())) == 1501

    until("all", all_came, every_s=0.005)
    assert got == {f"t/0:{topic}/0": [b"%06d" % each for each in range(1500)], f"t/0:{other}/0": [b"new"]}


def test_what_cannot_be_read_is_said(cluster: KafkaCluster, topic: str, sources: list[KafkaSource]) -> None:
    """No such topic, nobody at the address: each in words."""
    for url, name in ((cluster.url, "no-such"), ("kafka://127.0.0.1:1", topic)):
        sources.append(KafkaSource("t/0", url, topics=[name], consumer="c"))
        sources[-1].open({})
    assert "has no topic no-such" in why(sources[0])
    assert "kafka://127.0.0.1:1 does not answer" in why(sources[1])


def test_brokers_that_are_gone(sources: list[KafkaSource]) -> None:
    """When all brokers are lost, so is the source, which is made anew by whoever supervises it."""
    cluster = KafkaCluster()
    cluster.publish([("tide", "a", b"1")])
    source = opened(sources, cluster.url, "tide")
    taken(source)
    cluster.end()
    assert "is lost" in why(source)
    assert source.status()["up"] == 0


def test_how_it_connects() -> None:
    """TLS by scheme, the files and passwords as librdkafka names them; nothing is committed to a group."""
    source = KafkaSource(
        "t/0",
        "kafkas://[::1]:9093",
        topics=["a"],
        consumer="quay",
        user="u",
        password="p",
        mechanism="scram-sha-256",
        ca="ca.pem",
        certificate="c.pem",
        key="k.pem",
    )
    assert (
        source._options
        | {
            "bootstrap.servers": "[::1]:9093",
            "security.protocol": "sasl_ssl",
            "sasl.mechanism": "SCRAM-SHA-256",
            "sasl.username": "u",
            "sasl.password": "p",
            "ssl.ca.location": "ca.pem",
            "ssl.certificate.location": "c.pem",
            "ssl.key.location": "k.pem",
            "enable.auto.commit": False,
        }
        == source._options
    )
    plain = KafkaSource("t/0", "kafka://b", topics=["a"], consumer="quay")._options
    assert (plain["bootstrap.servers"], plain["security.protocol"]) == ("b:9092", "plaintext")


def test_without_the_package_the_configuration_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line names the entry and what to install."""
    config = tmp_path / "tidegauge.yaml"
    entry = "{type: kafka, url: 'kafka://b', consumer: c, topics: [t]}"
    config.write_text(f"version: 1\nstreams:\n  a:\n    sources: [{entry}]\n    interval: 1h\n")
    assert load(config).streams["a"].sources
    monkeypatch.setattr("adapters.extra.find_spec", lambda package: None)
    with pytest.raises(ConfigError) as raised:
        load(config)
    assert str(raised.value) == (
        f"{config}:4: streams.a.sources[0].type is kafka, which needs confluent-kafka, which a plain install leaves "
        f"out; install tidegauge[kafka], or run: {sys.executable} -m pip install confluent-kafka"
    )
