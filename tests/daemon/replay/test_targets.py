"""Playing lines to a listening source: nothing is lost when the connection breaks, nothing is repeated without need."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from adapters.sockets.listener import Listener
from adapters.sockets.tcp import TcpEndpoint
from adapters.sockets.unix import UnixEndpoint
from daemon.replay.targets import StreamTarget, TargetError, open_target
from tests.adapters.sockets.peers import commit, drain, until

LINES = [b"%d,1\n" % number for number in range(3_000)]


class Reader:
    """A source that is polled from a thread of its own, as the daemon would."""

    def __init__(self, source: Listener) -> None:
        self.source, self.lines = source, list[bytes]()
        self.stop = threading.Event()
        self._thread = threading.Thread(target=self._read)

    def _read(self) -> None:
        while not self.stop.is_set():
            chunks = self.source.poll(1 << 14)
            for chunk in chunks:
                self.lines += chunk.data.splitlines(keepends=True)
            commit(self.source, chunks)
            self.stop.wait(0.001)

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._thread.join()


@contextmanager
def reading(source: Listener) -> Iterator[Reader]:
    """An open source and its reader."""
    with closing(source):
        source.open({})
        with Reader(source) as reader:
            yield reader


@pytest.mark.parametrize("ack", [True, False])
def test_a_stream_is_taken_whole(tmp_path: Path, ack: bool) -> None:
    """`finish` returns when the other side has every line and has closed."""
    for endpoint, name in (
        (TcpEndpoint("127.0.0.1", 0), "tcp://{}"),
        (UnixEndpoint(str(tmp_path / "socket")), "unix://{}"),
    ):
        source = Listener("s", endpoint, ack=ack)
        with reading(source) as reader, closing(open_target(name.format(source.address), ack=ack)) as target:
            for line in LINES:
                target.write(line)
            target.finish()
            assert reader.lines == LINES


def test_what_was_not_told_is_repeated_after_the_header() -> None:
    """When the daemon dies, the lines it has not told of are sent to the next one, which is shown the header first."""
    header = b"timestamp,value\n"
    first = Listener("s", TcpEndpoint("127.0.0.1", 0), ack=True)
    first.open({})
    port = int(first.address.rsplit(":", 1)[1])
    with closing(open_target(f"tcp://127.0.0.1:{port}", ack=True, header=header)) as target:
        target.write(header)
        for line in LINES[:1000]:
            target.write(line)
        chunks = until(lambda: first.poll(2000))
        known = chunks[0].data.splitlines(keepends=True)
        commit(first, chunks)
        until(lambda: first.poll(1000))  # read and never committed
        first.close()
        second = Listener("s", TcpEndpoint("127.0.0.1", port), ack=True)
        with reading(second) as reader:
            for line in LINES[1000:]:
                target.write(line)
            target.finish()
        assert reader.lines[0] == header
        again = [line for line in reader.lines if line != header]
        assert known[0] == header
        told = len(known) - 1
        assert again == LINES[told:], "nothing is lost, and what was told is not repeated"


def test_a_source_that_tells_nothing_is_an_error() -> None:
    """Waiting has an end, and the message says what is likely wrong."""
    source = Listener("s", TcpEndpoint("127.0.0.1", 0))
    source.open({})
    host, port = source.address.rsplit(":", 1)
    with closing(source):
        target = StreamTarget(
            lambda: socket.create_connection((host, int(port))), "tcp://here", ack=True, patience_s=0.3
        )
        with closing(target):
            target.write(b"a,1\n")
            drain(source)
            with pytest.raises(
                TargetError, match=r"tcp://here has told nothing for 0\.3 s of 1 lines; is ack: true set"
            ):
                target.finish()


def test_a_file_is_appended_to(tmp_path: Path) -> None:
    """What is there stays."""
    (tmp_path / "out").write_bytes(b"0\n")
    with closing(open_target(f"file:{tmp_path}/out")) as target:
        target.write(b"1\n")
        target.finish()
    assert (tmp_path / "out").read_bytes() == b"0\n1\n"


@pytest.mark.parametrize("text", ["tcp:9", "tcp://host", "udp://:5", "unix:/x", "http://a:1", "file:", ""])
def test_what_is_no_target_is_said_to_be(text: str) -> None:
    """The message shows every form there is."""
    with pytest.raises(ValueError, match="is no target; write file:PATH, tcp://HOST:PORT"):
        open_target(text)
