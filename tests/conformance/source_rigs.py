"""How a sender reaches each source of the registry, so that one suite can be held against all."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from adapters.base import Live, Position, Source
from adapters.brokers.kafka_source import KafkaSource
from adapters.brokers.mqtt_source import MqttSource
from adapters.brokers.nats_source import NatsSource
from adapters.files.stdin import StandardInput
from adapters.files.tail import FileTail
from adapters.mqtt_connection import Broker
from adapters.sockets.listener import Listener
from adapters.sockets.tcp import TcpEndpoint
from adapters.sockets.udp import UdpListener
from adapters.sockets.unix import UnixEndpoint
from adapters.uploads.inbox import Inbox, Inboxes
from adapters.uploads.remote_write import RemoteWrite
from tests.adapters.brokers.kafka_cluster import PARTITIONS, KafkaCluster
from tests.adapters.brokers.mosquitto_process import MosquittoProcess
from tests.adapters.brokers.nats_process import NatsProcess
from tests.e2e.processes import until

LIMIT = 60


def split(content: bytes) -> list[bytes]:
    """Its lines."""
    return [line + b"\n" for line in content.split(b"\n")[:-1]]


@dataclass
class Rig:
    """A kind of source over some content: `make` makes a new one over it, as a restart would.

    Attributes:
        make: Makes one, not open.
        places: How many of the contents it reads.
        send: Sends what comes after the positions to a live source that is open.
    """

    make: Callable[[], Source]
    places: int
    send: Callable[[Source, Mapping[str, Position]], None] = lambda source, positions: None

    def open(self, positions: Mapping[str, Position]) -> Source:
        """A new source, open."""
        source = self.make()
        source.open(positions)
        self.send(source, positions)
        return source


@contextmanager
def tail(contents: list[bytes]) -> Iterator[Rig]:
    with TemporaryDirectory() as folder:
        for number, content in enumerate(contents):
            Path(folder, f"{number}.csv").write_bytes(content)
        yield Rig(lambda: FileTail("s", f"{folder}/*.csv", line_bytes=LIMIT, scan_every_s=0), len(contents))


@contextmanager
def stdin(contents: list[bytes]) -> Iterator[Rig]:
    with TemporaryDirectory() as folder:
        path = Path(folder, "input")
        path.write_bytes(contents[0])
        files = []

        def make() -> Source:
            files.append(path.open("rb"))
            return StandardInput("s", files[-1], line_bytes=LIMIT)

        try:
            yield Rig(make, 1)
        finally:
            for file in files:
                file.close()


def send_streams(
    contents: list[bytes], connect: Callable[[str], socket.socket]
) -> Callable[[Source, Mapping[str, Position]], None]:
    """Sends each content over a connection of its own; the n-th has the place that ends with its number."""

    def send(source: Source, positions: Mapping[str, Position]) -> None:
        assert isinstance(source, Live)
        done = {int(place.rpartition("#")[2]): position["offset"] for place, position in positions.items()}
        for number, content in enumerate(contents, 1):
            with connect(source.address) as peer:
                peer.sendall(content[done.get(number, 0) :])

    return send


def connect_tcp(address: str) -> socket.socket:
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host, int(port)))


def connect_unix(address: str) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    peer.connect(address)
    return peer


@contextmanager
def tcp(contents: list[bytes]) -> Iterator[Rig]:
    with ExitStack() as made:

        def make() -> Source:
            return made.enter_context(closing(Listener("s", TcpEndpoint("127.0.0.1", 0), line_bytes=LIMIT)))

        yield Rig(make, len(contents), send_streams(contents, connect_tcp))


@contextmanager
def unix(contents: list[bytes]) -> Iterator[Rig]:
    with TemporaryDirectory() as folder, ExitStack() as made:

        def make() -> Source:
            return made.enter_context(closing(Listener("s", UnixEndpoint(f"{folder}/socket"), line_bytes=LIMIT)))

        yield Rig(make, len(contents), send_streams(contents, connect_unix))


@contextmanager
def udp(contents: list[bytes]) -> Iterator[Rig]:
    def send(source: Source, positions: Mapping[str, Position]) -> None:
        assert isinstance(source, UdpListener)
        host, port = source.address.rsplit(":", 1)
        done = sum(position["offset"] for position in positions.values())
        lines = split(contents[0][done:])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            for start in range(0, len(lines), 500):
                peer.sendto(b"".join(lines[start : start + 500]), (host, int(port)))

    with ExitStack() as made:

        def make() -> Source:
            return made.enter_context(closing(UdpListener("s", "127.0.0.1", 0, line_bytes=LIMIT)))

        yield Rig(make, 1, send)


@contextmanager
def inbox(contents: list[bytes]) -> Iterator[Rig]:
    """Each content is posted as a whole, again at every start, as a sender does that was not answered."""

    def send(source: Source, positions: Mapping[str, Position]) -> None:
        assert isinstance(source, Inbox)
        for number, content in enumerate(contents):
            source.offer(content, "http", b"%d" % number)

    yield Rig(lambda: Inbox("s", "http", Inboxes(), line_bytes=LIMIT), len(contents), send)


@contextmanager
def remote_write(contents: list[bytes]) -> Iterator[Rig]:
    """Lines as they are once requests are read; that is tests/adapters/uploads."""
    with inbox(contents) as rig:
        yield Rig(lambda: RemoteWrite("s", Inboxes(), line_bytes=LIMIT), rig.places, rig.send)


class Brokers:
    """Real brokers on the loopback, started when first needed, ended with the tests of this module."""

    def __init__(self) -> None:
        self._ends = ExitStack()
        self._mosquitto: MosquittoProcess | None = None
        self._nats: NatsProcess | None = None
        self._kafka: KafkaCluster | None = None
        self._number = 0

    def name(self) -> str:
        """A name that nobody had before, for a session and its topic."""
        self._number += 1
        return f"rig{self._number}"

    @property
    def mosquitto(self) -> MosquittoProcess:
        if self._mosquitto is None:
            directory = Path(self._ends.enter_context(TemporaryDirectory()))
            self._mosquitto = self._ends.enter_context(MosquittoProcess(directory))
        return self._mosquitto

    @property
    def nats(self) -> NatsProcess:
        if self._nats is None:
            directory = Path(self._ends.enter_context(TemporaryDirectory()))
            self._nats = self._ends.enter_context(NatsProcess(directory))
            self._nats.add("RIGS", "rigs.>", storage="memory")
            self._nats.add("METERS", "meters.>", storage="memory")
        return self._nats

    @property
    def kafka(self) -> KafkaCluster:
        if self._kafka is None:
            self._kafka = self._ends.enter_context(KafkaCluster())
            self._kafka.publish([("meters", None, b"")])
        return self._kafka

    def end(self) -> None:
        self._ends.close()
        self._mosquitto = self._nats = self._kafka = None


brokers = Brokers()


def all_taken(source: Source, messages: int) -> None:
    """Wait until a source has taken so many messages, those that came twice included."""

    def look() -> bool:
        status = source.status()
        return bool(status["up"]) and status["messages"] + status["repeated"] >= messages

    until(f"{messages} messages", look, every_s=0.002)


@contextmanager
def mqtt(contents: list[bytes]) -> Iterator[Rig]:
    """Each line of the first content is published once, and kept by the broker until it is acknowledged."""
    mosquitto, client, lines = brokers.mosquitto, brokers.name(), split(contents[0])
    published = False

    def make() -> Source:
        return MqttSource(
            "s", Broker(mosquitto.url), client=client, topics=[f"{client}/#"], line_bytes=LIMIT, in_flight=5000
        )

    def send(source: Source, positions: Mapping[str, Position]) -> None:
        nonlocal published
        all_taken(source, 0)
        if not published:
            mosquitto.publish((f"{client}/a", line) for line in lines)
        published = True
        all_taken(source, len(lines))

    yield Rig(make, 1, send)


@contextmanager
def nats(contents: list[bytes]) -> Iterator[Rig]:
    """Each line of the first content is published once, and delivered again until it is acknowledged."""
    server, consumer, lines = brokers.nats, brokers.name(), split(contents[0])
    numbers = server.publish((f"rigs.{consumer}", line) for line in lines)

    def make() -> Source:
        return NatsSource(
            "s", server.url, subject=f"rigs.{consumer}", consumer=consumer, line_bytes=LIMIT, in_flight=5000
        )

    def send(source: Source, positions: Mapping[str, Position]) -> None:
        done = max((each["offset"] for each in positions.values()), default=0)
        until("it is up", lambda: source.status()["up"], every_s=0.002)
        until("all", lambda: source.status()["messages"] >= sum(n > done for n in numbers), every_s=0.002)

    yield Rig(make, 1, send)


@contextmanager
def kafka(contents: list[bytes]) -> Iterator[Rig]:
    """Each content is in a partition of its own, a message a line."""
    cluster, topic = brokers.kafka, brokers.name()
    cluster.publish([(topic, None, None)], PARTITIONS - 1)
    for number, content in enumerate(contents):
        cluster.publish([(topic, "a", line) for line in split(content)], number)

    def make() -> Source:
        return KafkaSource("s", cluster.url, topics=[topic], consumer=topic, line_bytes=LIMIT)

    def send(source: Source, positions: Mapping[str, Position]) -> None:
        assert isinstance(source, KafkaSource)
        until("it is up", lambda: source.status()["up"], every_s=0.002)
        until("all is fetched", lambda: all(each.ended for each in source._queues.values()), every_s=0.002)

    yield Rig(make, len(contents), send)


RIGS = {
    "file": tail,
    "stdin": stdin,
    "tcp": tcp,
    "unix": unix,
    "udp": udp,
    "http": inbox,
    "prometheus": remote_write,
    "mqtt": mqtt,
    "nats": nats,
    "kafka": kafka,
}
