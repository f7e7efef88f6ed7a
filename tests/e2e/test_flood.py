"""A daemon under load and under attack: nothing is lost, and a good sender is heard in time."""

from __future__ import annotations

import contextlib
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.flood import CONFIGURATION, FIRST_S, GARBAGE, flood, listens_at
from tests.e2e.processes import Daemon, until

STALLED, SLOW = 1_000, 200


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Room for all connections of this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_sent_is_accepted_plus_rejected(tmp_path: Path) -> None:
    """Of 100,000 lines over TCP, one in twenty garbage, each is accepted or rejected for its reason."""
    result = flood(tmp_path, 100_000)
    assert set(result.garbage) == {reason for _, reason in GARBAGE}
    assert result.whole, result
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log
    assert "x" * 100 not in log, "what was sent does not reach the log"


def rss_bytes(pid: int) -> int:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def trickle(address: tuple[str, int], stop: threading.Event) -> None:
    """Senders of one byte a second each; those that are cut off come back."""
    with ExitStack() as stack:
        peers = [stack.enter_context(contextlib.closing(connect(address))) for _ in range(SLOW)]
        while not stop.wait(1.0):
            for number, peer in enumerate(peers):
                try:
                    peer.send(b"1")
                except OSError:
                    peers[number] = stack.enter_context(contextlib.closing(connect(address)))


def connect(address: tuple[str, int]) -> socket.socket:
    peer = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    peer.settimeout(10)
    peer.connect(address)
    return peer


def test_stalled_and_slow_peers_hold_nobody_up(tmp_path: Path, descriptors: None) -> None:
    """Beside 1,000 stalled connections and 200 of a byte a second, readings are scored at once, in little memory."""
    config = tmp_path / "tidegauge.yaml"
    config.write_text(CONFIGURATION.replace('listen: "127.0.0.1:0"}]', 'listen: "127.0.0.1:0", ack: true}]'))
    stop = threading.Event()
    with Daemon(config) as daemon, ExitStack() as stack:
        address = listens_at(daemon)
        good = stack.enter_context(contextlib.closing(connect(address)))
        slot = said(good, 0)  # compiles what scoring needs
        idle = rss_bytes(daemon.pid)
        for _ in range(STALLED):
            stack.enter_context(contextlib.closing(connect(address))).send(b"1700000000,m")
        slow = threading.Thread(target=trickle, args=(address, stop))
        slow.start()
        stack.callback(slow.join)
        stack.callback(stop.set)
        for _ in range(20):
            began = time.monotonic()
            slot = said(good, slot)
            took = time.monotonic() - began
            print(f"{took:.3f} s")  # noqa: T201 - shown when the test fails
            time.sleep(0.3)
        late = stack.enter_context(contextlib.closing(connect(address)))
        said(late, slot)
        until("the storm is seen", lambda: displaced_or_refused(daemon) >= STALLED - 256)
        grown = rss_bytes(daemon.pid) - idle
        print(f"memory grew by {grown >> 10} KiB")  # noqa: T201
        assert grown < 50 << 20
        stop.set()


def said(peer: socket.socket, slot: int) -> int:
    """Send the reading of a slot and wait until it is told to be durable, and thus scored; the next slot."""
    peer.sendall(b"%d,good,1.5\n" % (FIRST_S + 1800 * slot))
    answer = b""
    while not answer.endswith(b"\n"):
        answer += peer.recv(100)
    return slot + 1


def displaced_or_refused(daemon: Daemon) -> float:
    """Connections that had no seat, or lost it."""
    closed = daemon.metric("tidegauge_source_closed_total")
    refused = daemon.metric("tidegauge_source_refused_total")
    return sum(count for labels, count in (closed | refused).items() if "displaced" in labels or "limit" in labels)
