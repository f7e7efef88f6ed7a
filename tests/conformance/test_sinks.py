"""The contract of `adapters.sinks.Sink`, held against every sink of the registry. A new one joins by its line there.

What a sink handed on is looked for where its sample says: in a file, on standard output, or at an address.
"""

from __future__ import annotations

import inspect
import json
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from adapters.brokers.mqtt_source import MqttSource
from adapters.mqtt_connection import Broker
from adapters.sinks import SINKS, Keeping, Opening, Repeating, Sink
from adapters.text import printable
from daemon.config.file import load
from daemon.config.sink_settings import EventSettings
from tests.adapters.brokers.mosquitto_process import MosquittoProcess
from tests.adapters.sinks.receiver import Receiver
from tests.adapters.sinks.rsyslog_process import parameters
from tests.adapters.sinks.syslog_receiver import SyslogReceiver
from tests.daemon.store.contents import event
from tests.e2e.processes import until

every_sink = pytest.mark.parametrize("key", SINKS)


def scheme_of(key: str) -> str:
    """How its sample speaks to its other side; "" where that is no other server."""
    value: Any = yaml.safe_load(SINKS[key].sample)[key]
    return urlsplit(value[0]["url"]).scheme if SINKS[key].several else ""


class Others:
    """Other servers of every kind, and what they took."""

    def __init__(self, http: Receiver, syslog: SyslogReceiver) -> None:
        self.http, self.syslog = http, syslog
        self._broker, self._people = ExitStack(), list[MqttSource]()

    def url(self, key: str) -> str:
        """Where a sink of that key finds its own; a broker is started when it is asked for."""
        if scheme_of(key) == "mqtt":
            directory = Path(self._broker.enter_context(TemporaryDirectory()))
            self.mosquitto = self._broker.enter_context(MosquittoProcess(directory))
            people = MqttSource("s", Broker(self.mosquitto.url), client="people", topics=["tidegauge/#"])
            people.open({})
            self._broker.callback(people.close)
            until("it listens", lambda: people.status()["up"], every_s=0.01)
            self._people.append(people)
            return self.mosquitto.url
        if scheme_of(key) == "json":
            return self.http.url.replace("http", "json", 1)
        return self.http.url if scheme_of(key) == "http" else f"tcp://127.0.0.1:{self.syslog.port}"

    def came(self) -> list[dict[str, Any]]:
        """Events, as each kind of server has them."""
        posted = [json.loads(each.body) for each in self.http.got]
        told = [alert for each in posted for alert in (each if isinstance(each, list) else [_notified(each)])]
        elements = ["[" + each.decode().partition(" [")[2].partition('"] ')[0] + '"]' for each in self.syslog.messages]
        return told + self._heard() + [{"labels": parameters(element)} for element in elements]

    def _heard(self) -> list[dict[str, Any]]:
        """What was published, up to a last message."""
        got: list[bytes] = []
        for people in self._people:
            self.mosquitto.publish([("tidegauge/end", b"the end")])
            until("the end", partial(self._more, people, got), every_s=0.01)
        return [json.loads(each) for each in got[:-1]]

    @staticmethod
    def _more(people: MqttSource, got: list[bytes]) -> bool:
        for chunk in people.poll(1 << 20):
            got += chunk.data.splitlines()
        return got[-1:] == [b"the end"]

    def end(self) -> None:
        self._broker.close()


class Ends:
    """A sink as its kind makes it from its sample, and what came out of it."""

    def __init__(self, key: str, directory: Path, others: Others, committed: int | None = None) -> None:
        read, write = os.pipe()
        self.stream = open(write, "wb", buffering=0)  # noqa: PTH123, SIM115
        self._read, self._others = read, others
        value: Any = yaml.safe_load(SINKS[key].sample)[key]
        self.file = directory / value if isinstance(value, str) else None
        if SINKS[key].several:
            (settings,) = getattr(EventSettings.model_validate({key: [value[0] | {"url": others.url(key)}]}), key)
        else:
            settings = self.file or value
        self.sink: Sink = SINKS[key].make(settings, Opening(committed, self.stream))

    def came(self) -> list[dict[str, Any]]:
        """All that was handed on, as JSON; the sink is closed."""
        self.sink.close()
        self.stream.close()
        with open(self._read, "rb") as file:  # noqa: PTH123
            lines = file.read().splitlines()
        lines += [] if self.file is None else self.file.read_bytes().splitlines()
        return [json.loads(line) for line in lines] + self._others.came()


def _notified(body: dict[str, Any]) -> dict[str, Any]:
    """What a notification says in its lines; any other body as it is."""
    if "message" not in body:
        return body
    said = dict(line.split(": ", 1) for line in body["message"].splitlines())
    return {"labels": said | {"id": said["event"]}}


@pytest.fixture
def others() -> Iterator[Others]:
    with Receiver() as http, SyslogReceiver() as syslog:
        made = Others(http, syslog)
        yield made
        made.end()


def line(id_: str, **changes: Any) -> bytes:
    return json.dumps(replace(event(id_), **changes).to_json()).encode()


def id_of(came: dict[str, Any]) -> str:
    return str(came["annotations"]["event"] if "annotations" in came else came.get("labels", came)["id"])


@every_sink
def test_events_come_out_whole_and_in_order(key: str, tmp_path: Path, others: Others) -> None:
    """What is delivered comes out once each, in order, whatever a series is called; an empty call adds nothing."""
    ends = Ends(key, tmp_path, others)
    lines = [line("a"), line("b", series='zähler "1"\n' + "x" * 5000), line("c", series=None)]
    ends.sink.deliver(lines[:1])
    ends.sink.deliver([])
    ends.sink.deliver(lines[1:])
    came = ends.came()
    assert [id_of(each) for each in came] == ["a", "b", "c"]
    whose = [each.get("labels", each) for each in came]
    series = json.loads(lines[1])["series"]
    assert whose[1]["series"] == (printable(series) if scheme_of(key) in ("tcp", "json") else series)
    if "labels" not in came[0]:
        assert came == [json.loads(each) for each in lines]


@every_sink
def test_what_was_committed_is_not_taken_back(key: str, tmp_path: Path, others: Others) -> None:
    """A length that `deliver` returned holds at the next start, and what is beyond it stays and is known."""
    ends = Ends(key, tmp_path, others)
    committed = ends.sink.deliver([line("1")])
    ends.sink.deliver([line("2")])
    ends.came()
    if committed is None:
        return  # such a sink gives the second event again
    again = Ends(key, tmp_path, others, committed)
    assert isinstance(again.sink, Keeping)
    again.sink.deliver([each for each in (line("2"), line("3")) if each not in again.sink.beyond])
    assert [id_of(each) for each in again.came()] == ["1", "2", "3"]


@every_sink
def test_it_delivers_from_another_thread(key: str, tmp_path: Path, others: Others) -> None:
    """A sink is made on one thread and used on another."""
    ends = Ends(key, tmp_path, others)
    thread = threading.Thread(target=lambda: ends.sink.deliver([line("1")]))
    thread.start()
    thread.join()
    assert [id_of(each) for each in ends.came()] == ["1"]


@every_sink
def test_it_counts_what_it_leaves_out(key: str, tmp_path: Path, others: Others) -> None:
    """Its counts begin at 0; one that repeats says how often, and repeats what is open."""
    ends = Ends(key, tmp_path, others)
    assert all(count == 0 for count in ends.sink.status().values())
    if isinstance(ends.sink, Repeating):
        assert ends.sink.every_s > 0
        ends.sink.repeat([line("1")])
        ends.sink.repeat([line("1")])
    assert [id_of(each) for each in ends.came()] == (["1", "1"] if isinstance(ends.sink, Repeating) else [])


@pytest.mark.parametrize("key", [key for key in SINKS if scheme_of(key) in ("http", "json")])
@pytest.mark.parametrize("status", [500, 429, 401, 302])
def test_another_server_that_does_not_take_it_is_tried_again(
    key: str, status: int, tmp_path: Path, others: Others
) -> None:
    """What is not 2xx and not about the event raises OSError, so it is delivered again; no redirection is followed."""
    ends = Ends(key, tmp_path, others)
    others.http.statuses = [status]
    with pytest.raises(OSError, match=str(status)):
        ends.sink.deliver([line("1")])
    ends.sink.deliver([line("1")])
    assert [each.status for each in others.http.got] == [status, 200]
    ends.came()


@every_sink
def test_it_is_configured_and_documented(key: str, tmp_path: Path, others: Others) -> None:
    """Its key is one of `events`, its sample is a configuration that can be run, and its class says what it does."""
    assert key in EventSettings.model_fields
    config = tmp_path / "tidegauge.yaml"
    config.write_text(
        f"version: 1\nevents:\n  {SINKS[key].sample}\nstreams:\n  a: {{sources: [{{type: stdin}}], interval: 1h}}\n"
    )
    assert getattr(load(config, serving=True).events, key)
    ends = Ends(key, tmp_path, others)
    assert inspect.getdoc(type(ends.sink))
    ends.came()


def test_every_key_of_events_is_a_sink() -> None:
    """A key that is in the schema and in no registry would switch on nothing."""
    assert set(EventSettings.model_fields) == set(SINKS)
