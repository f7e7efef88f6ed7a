"""Events published to a real mosquitto: in order, at least once, whatever becomes of the broker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.brokers.mqtt_source import MqttSource
from adapters.mqtt_connection import Broker
from adapters.sinks.contract import PartlyError
from adapters.sinks.mqtt_sink import MqttSink
from daemon.config.file import load
from tests.adapters.brokers.mosquitto_process import MosquittoProcess
from tests.adapters.brokers.test_mqtt_source import why
from tests.daemon.store.contents import event
from tests.e2e.processes import Daemon, lines_of, revisions, until


def line(id_: str, **changes: object) -> bytes:
    return json.dumps(replace(event(id_), **changes).to_json()).encode()  # type: ignore[arg-type]


@contextmanager
def listening(broker: Broker, client: str = "people", **given: Any) -> Iterator[MqttSource]:
    """Somebody who hears all topics below `t`, and keeps the session."""
    source = MqttSource("s", broker, client=client, topics=["t/#"], **given)
    source.open({})
    try:
        until("it listens", lambda: source.status()["up"], every_s=0.01)
        yield source
    finally:
        source.close()


def heard(source: MqttSource, messages: int) -> list[tuple[str, str]]:
    """Topic and id of the next so many messages."""
    got: list[tuple[str, str]] = []

    def all_heard() -> bool:
        for chunk in source.poll(1 << 20):
            ids = [json.loads(each)["id"] for each in chunk.data.splitlines()]
            got.extend(zip([span.series for span in chunk.spans], ids, strict=True))
            source.committed({chunk.place: chunk.position_at(len(chunk.data), None)})
        return len(got) >= messages

    until(f"{messages} messages", all_heard, every_s=0.01)
    return got


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_topics_are_made_of_events(protocol: str, tmp_path: Path) -> None:
    """In order, under the topic of each; what a topic may not have, or an event has not, is `_`."""
    with MosquittoProcess(tmp_path) as mosquitto, listening(Broker(mosquitto.url)) as people:
        sink = MqttSink(Broker(mosquitto.url, protocol=protocol), topic="t/{stream}/{series}")
        sink.deliver([line("a", series="quay"), line("b", series="+/#x"), line("c", series=None)])
        assert heard(people, 3) == [("t/taxi/quay", "a"), ("t/taxi/_/_x", "b"), ("t/taxi/_", "c")]


def test_the_last_message_of_a_topic_is_kept(tmp_path: Path) -> None:
    """Whoever comes later is told the newest event of each topic; without `retain` nothing."""
    with MosquittoProcess(tmp_path) as mosquitto:
        broker = Broker(mosquitto.url)
        MqttSink(broker, topic="t/{series}", retain=True).deliver([line(each, series="quay") for each in "ab"])
        MqttSink(broker, topic="t/{series}").deliver([line("c", series="pier")])
        with listening(broker) as people:
            MqttSink(broker, topic="t/end").deliver([line("end")])
            assert heard(people, 2) == [("t/quay", "b"), ("t/end", "end")]


def test_many_at_once_come_in_order(tmp_path: Path) -> None:
    """More than may be under way at once: each once, in order."""
    with MosquittoProcess(tmp_path) as mosquitto, listening(Broker(mosquitto.url)) as people:
        MqttSink(Broker(mosquitto.url), topic="t").deliver([line(str(number)) for number in range(100)])
        assert [id_ for _, id_ in heard(people, 100)] == [str(number) for number in range(100)]


def test_a_broker_that_stalls_or_vanishes_is_given_up_in_time(tmp_path: Path) -> None:
    """No answer, or nobody there: OSError in words; delivered again when it is back."""
    with MosquittoProcess(tmp_path) as mosquitto:
        sink = MqttSink(Broker(mosquitto.url), topic="t/a", timeout_s=0.3)
        mosquitto.stall()
        with pytest.raises(OSError, match="does not answer"):
            sink.deliver([line("a")])
        mosquitto.end()
        with pytest.raises(OSError, match="refused"):
            sink.deliver([line("a")])
        mosquitto.start()
        with listening(Broker(mosquitto.url)) as people:
            sink.deliver([line("a")])
            assert heard(people, 1) == [("t/a", "a")]


def test_what_may_not_be_published_waits(tmp_path: Path) -> None:
    """A topic that the broker does not let it write is an error in words; what came before it is done."""
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite t/open\n")
    with MosquittoProcess(tmp_path, f"allow_anonymous true\nacl_file {acl}\n") as mosquitto:
        sink = MqttSink(Broker(mosquitto.url), topic="t/{series}")
        with pytest.raises(PartlyError, match="Not authorized") as failed:
            sink.deliver([line("a", series="open"), line("b", series="closed"), line("c", series="open")])
        assert failed.value.done == 1


def test_what_can_never_be_published_is_left_out(tmp_path: Path) -> None:
    """An event longer than the broker takes holds up none behind it, and is counted."""
    more = "allow_anonymous true\nmax_packet_size 2000\n"
    with MosquittoProcess(tmp_path, more) as mosquitto, listening(Broker(mosquitto.url)) as people:
        sink = MqttSink(Broker(mosquitto.url), topic="t/a")
        sink.deliver([line("a"), line("b", series="x" * 3000), line("c")])
        assert [id_ for _, id_ in heard(people, 2)] == ["a", "c"]
        assert sink.status() == {"refused": 1}


def test_a_certificate_that_is_not_there_is_refused_at_once(tmp_path: Path) -> None:
    """What cannot be read is an error when the sink is made, not at the first alarm."""
    with pytest.raises(OSError, match="No such file"):
        MqttSink(Broker("mqtts://127.0.0.1", ca=str(tmp_path / "ca.pem")), topic="t")


CONFIGURATION = """\
version: 1
state_dir: state
streams:
  tide:
    sources: [{{path: tide.csv}}]
    format: {{columns: [timestamp, value]}}
    interval: 1h
    clock: event
    warm_up: 90d
    alerts: {{limits: {{max: 100}}, refractory: 0s}}
events: {{file: events.jsonl, stdout: false, mqtt: [{{url: "{url}", topic: "t/{{series}}", send: all, timeout: 1s}}]}}
http: {{listen: "127.0.0.1:0"}}
log: {{format: plain}}
"""


def test_a_stalled_broker_holds_up_nothing(tmp_path: Path) -> None:
    """Readings and the other sinks go on while it stalls; once it is back every revision comes, in order."""
    config, file = tmp_path / "tidegauge.yaml", tmp_path / "tide.csv"
    rows = [f"{1_784_160_000 + 3600 * hour},{900 if hour % 20 > 17 else hour % 7}\n" for hour in range(200)]
    file.write_text("")
    with MosquittoProcess(tmp_path) as mosquitto:
        broker = Broker(mosquitto.url)
        config.write_text(CONFIGURATION.format(url=mosquitto.url))
        with Daemon(config) as daemon:
            daemon.loaded()
            with listening(broker) as people:
                people.close()
            mosquitto.stall()
            file.write_text("".join(rows))
            until("all readings", lambda: daemon.has_read(200))
            until("the sink is down", lambda: 0.0 in daemon.metric("tidegauge_sink_up").values())
            until("the file has events", lambda: len(lines_of(tmp_path / "events.jsonl")) > 10)
            mosquitto.go_on()
            with listening(broker) as people:
                told = len(lines_of(tmp_path / "events.jsonl"))
                came = [id_ for _, id_ in heard(people, told)]
            assert daemon.end() == 0
        assert list(dict.fromkeys(came)) == list(dict.fromkeys(each["id"] for each in revisions(config)))


def test_a_wrong_password_loses_nothing(tmp_path: Path) -> None:
    """Who is not let in is told why, and the event waits."""
    with MosquittoProcess(tmp_path, "allow_anonymous false\n") as mosquitto:
        with pytest.raises(OSError, match="Not authorized"):
            MqttSink(Broker(mosquitto.url, "quay", "guess"), topic="t").deliver([line("a")])
        source = MqttSource("s", Broker(mosquitto.url), client="c", topics=["t"])
        source.open({})
        assert "Not authorized" in why(source)
        source.close()


def test_a_topic_is_checked(tmp_path: Path) -> None:
    """A topic that nothing can be published under is a mistake of the configuration."""
    config = tmp_path / "tidegauge.yaml"
    config.write_text('version: 1\nevents: {mqtt: [{url: "mqtt://h", topic: "t/+"}]}\nstreams: {a: {interval: 1h}}\n')
    with pytest.raises(Exception, match="not a topic"):
        load(config)
