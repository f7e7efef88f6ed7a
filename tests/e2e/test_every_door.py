"""The same readings by a file, a connection, a post, remote write and brokers: equal events, equal state to the bit."""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.base import Source
from adapters.sockets.listener import Listener
from adapters.uploads.inbox import Inbox, Inboxes
from adapters.uploads.protocol import V1
from adapters.uploads.remote_write import RemoteWrite
from daemon.config.settings import Settings
from daemon.engine.messages.events import Event
from daemon.intake.intake import Intake
from daemon.runtime.durable import DurableEngine
from daemon.store import EventFilter, Store
from daemon.trainer.trainer import InlineTrainer
from tests.adapters.brokers.kafka_cluster import KafkaCluster
from tests.adapters.brokers.mosquitto_process import MosquittoProcess
from tests.adapters.brokers.nats_process import NatsProcess
from tests.adapters.uploads.requests_made import request
from tests.e2e.processes import until

HOURS, START_S = 260, 1_784_160_000
Row = tuple[int, str, float]


def rows() -> list[Row]:
    """Two series of a tide, one of which breaks its limit and one of which falls silent for a while."""
    found: list[Row] = []
    for hour in range(HOURS):
        for number, series in enumerate(("quay", "pier")):
            value = 5 + number + math.sin(hour / 12.4 * 2 * math.pi) + 0.01 * (hour * 7 % 13)
            if series == "pier" and 200 <= hour < 212:
                continue
            found.append((START_S + 3600 * hour, series, 900.0 if (series, hour) == ("quay", 220) else value))
    return found


def csv(part: list[Row]) -> bytes:
    return "".join(f"{at},{series},{value!r}\n" for at, series, value in part).encode()


def by_file(source: Source, directory: Path) -> None:
    with (directory / "tide.csv").open("wb") as file:
        file.write(csv(rows()))


def by_connection(source: Source, directory: Path) -> None:
    assert isinstance(source, Listener)
    host, port = source.address.rsplit(":", 1)
    with socket.create_connection((host, int(port))) as peer:
        peer.sendall(csv(rows()))


def by_post(source: Source, directory: Path) -> None:
    assert isinstance(source, Inbox)
    whole = rows()
    for start in range(0, len(whole), 33):
        for _ in range(2):  # one that is sent again counts once
            source.offer(csv(whole[start : start + 33]), "x")


def by_remote_write(source: Source, directory: Path) -> None:
    assert isinstance(source, RemoteWrite)
    whole = rows()
    for start in range(0, len(whole), 50):
        series = [({"__name__": "tide", "place": name}, [(at * 1000, v)]) for at, name, v in whole[start : start + 50]]
        source.offer(source.written(request(series), V1).lines, "x")


def by_broker(publish: Callable[[list[tuple[str, bytes]]], object], between: str) -> Callable[[Source, Path], None]:
    """A message for each row, all under the topic of its series."""

    def send(source: Source, directory: Path) -> None:
        publish([(f"tide{between}{row[1]}", csv([row])) for row in rows()])

    return send


DOORS: dict[str, tuple[dict[str, Any], Callable[[Source, Path], None]]] = {
    "file": ({"type": "file", "path": "tide.csv"}, by_file),
    "tcp": ({"type": "tcp", "listen": "127.0.0.1:0"}, by_connection),
    "http": ({"type": "http"}, by_post),
    "prometheus": ({"type": "prometheus", "series": "{place}"}, by_remote_write),
}
BROKERS = ("mqtt", "nats", "kafka")


@contextmanager
def opened(door: str, directory: Path) -> Iterator[tuple[dict[str, Any], Callable[[Source, Path], None]]]:
    """What is configured for a door, and how readings are sent there; a broker is there meanwhile."""
    if door == "mqtt":
        with MosquittoProcess(directory) as mosquitto:
            source = {"type": "mqtt", "url": mosquitto.url, "client": "tide", "topics": ["tide/#"]}
            yield source, by_broker(mosquitto.publish, "/")
    elif door == "nats":
        with NatsProcess(directory) as server:
            server.add("TIDE", "tide.>")
            source = {"type": "nats", "url": server.url, "consumer": "tide", "subject": "tide.>"}
            yield source, by_broker(server.publish, ".")
    elif door == "kafka":
        with KafkaCluster() as cluster:
            cluster.publish([("tide", None, None)])
            source = {"type": "kafka", "url": cluster.url, "consumer": "tide", "topics": ["tide"]}
            yield source, lambda source, directory: cluster.publish([("tide", row[1], csv([row])) for row in rows()])
    else:
        yield DOORS[door]


def became(door: str, directory: Path) -> tuple[str, list[Event], int]:
    """SHA-256 of the state, the events, and the readings, of what came through a door."""
    with opened(door, directory) as (source, send):
        return read(source, send, directory)


def read(source: dict[str, Any], send: Callable[[Source, Path], None], directory: Path) -> tuple[str, list[Event], int]:
    """The same of what a source gives."""
    if "path" in source:
        source = source | {"path": str(directory / source["path"])}
    stream = {
        "sources": [source],
        "format": {"columns": ["timestamp", "series", "value"], "series": "series"},
        "interval": "1h",
        "clock": "event",
        "warm_up": "4d",
        "model": {"window": 8, "copies": 1},
        "alerts": {"limits": {"max": 100}},
    }
    settings = Settings.model_validate({"version": 1, "state_dir": str(directory / "state"), "streams": {"t": stream}})
    intake = Intake.of("t", settings.streams["t"], settings.limits, Inboxes())
    with Store.open(directory / "state") as store:
        durable = DurableEngine(store, InlineTrainer())
        durable.recover()
        durable.configure(settings, 0)
        intake.open({})
        until("it is up", lambda: source["type"] == "file" or intake.sources[0].status()["up"], every_s=0.01)
        send(intake.sources[0], directory)
        count = 0

        def all_read() -> bool:
            nonlocal count
            if (taken := intake.poll(0)) is not None:
                durable.apply([taken.batch], taken.positions, 0)
                intake.committed(taken)
                count += len(taken.batch)
            return count >= len(rows())

        until("all is read", all_read, every_s=0.01)
        intake.close()
        return durable.digest(), [event for _, event in store.events(EventFilter(latest_only=False))], count


@pytest.fixture(scope="module")
def through_a_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Event], int]:
    """What came of the file."""
    return became("file", tmp_path_factory.mktemp("file"))


@pytest.mark.parametrize("door", [*(door for door in DOORS if door != "file"), *BROKERS])
def test_it_does_not_matter_which_door(door: str, tmp_path: Path, through_a_file: tuple[str, list[Event], int]) -> None:
    """However they are cut into bodies, and though some come twice: equal state, equal events, each reading once."""
    state, events, count = became(door, tmp_path)
    assert {reason for event in events for reason in event.reasons} >= {"limit", "gap"}
    assert (count, events) == (through_a_file[2], through_a_file[1])
    assert state == through_a_file[0]
