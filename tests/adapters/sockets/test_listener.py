"""Peers on TCP: every way they can be slow, silent, greedy, gone or too many. The rows are those of docs/faults.md."""

from __future__ import annotations

import contextlib
import random
import resource
import socket
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.sockets.connection import Deadlines
from adapters.sockets.endpoint import ListenError
from adapters.sockets.listener import BUFFER_BYTES
from adapters.sockets.tcp import TcpEndpoint
from tests.adapters.sockets.peers import Clock, connect, drain, gone, listening, poll, until

_TCP_REPAIR = 19


def test_1_a_slow_sender_is_cut_off() -> None:
    """One byte a second is no line in 30 s: the connection ends, the part of a line is counted and never read."""
    clock = Clock()
    with listening(clock) as listener, connect(listener) as peer:
        for byte in b"2024-05-01T10:00:00Z,a,1234567890123":
            peer.send(bytes([byte]))
            until(lambda: drain(listener, 1) == ({}, {}))
            clock.now += 1
            if clock.now > 1031:
                break
        assert drain(listener) == ({"s:tcp#000001": b""}, {"incomplete": 1})
        assert until(lambda: gone(peer))
        status = listener.status()
        assert (status["closed_line_timeout"], status["partial_lines"], status["lines"]) == (1, 1, 0)


def test_1_a_slow_sender_of_whole_lines_may_go_on() -> None:
    """The deadline is a line's, not a connection's: a line every 20 s is welcome for as long as it likes."""
    clock = Clock()
    with listening(clock) as listener, connect(listener) as peer:
        for _ in range(10):
            peer.sendall(b"a,1\nb")
            assert poll(listener)[0].data.endswith(b"a,1\n")
            clock.now += 20
            peer.sendall(b",2\n")
            assert poll(listener)[0].data == b"b,2\n"
        assert listener.status()["connections_idle"] == 1


def test_1_a_line_that_begins_with_the_end_of_another_has_its_own_deadline() -> None:
    """Every 20 s the end of a line and the beginning of the next: none takes 30 s, so the sender may go on."""
    clock = Clock()
    with listening(clock) as listener, connect(listener) as peer:
        peer.sendall(b"a,")
        until(lambda: not listener.poll(1 << 20) and listener.status()["lag_bytes"])
        for _ in range(5):
            clock.now += 20
            peer.sendall(b"1\na,")
            assert poll(listener)[0].data.endswith(b"a,1\n")
        clock.now += 20
        assert drain(listener, 1) == ({}, {})
        assert listener.status()["closed_line_timeout"] == 0
        clock.now += 11
        assert drain(listener) == ({"s:tcp#000001": b""}, {"incomplete": 1})
        assert listener.status()["closed_line_timeout"] == 1


def test_1_an_idle_connection_is_closed() -> None:
    """A peer from which nothing comes for an hour is closed, one that speaks every half hour is not."""
    clock = Clock()
    with listening(clock) as listener, connect(listener) as silent, connect(listener) as meter:
        drain(listener)
        for _ in range(3):
            clock.now += 1800
            meter.sendall(b"a,1\n")
            poll(listener)
        drain(listener)
        assert gone(silent)
        assert not gone(meter)
        assert listener.status()["closed_idle_timeout"] == 1


def test_1_a_peer_is_not_late_because_nobody_read() -> None:
    """After a pause of the daemon's own, what waits in the kernel is read before anybody's deadline counts."""
    clock = Clock()
    with listening(clock) as listener, connect(listener) as peer:
        peer.sendall(b"a,")
        drain(listener)
        peer.sendall(b"1\n")
        clock.now += 7200
        assert until(lambda: drain(listener)[0]) == {"s:tcp#000001": b"a,1\n"}
        assert listener.status()["closed_line_timeout"] == 0


def test_2_a_half_open_peer_is_found_and_freed() -> None:
    """Keepalive is on by default; a peer that vanished without a word is found by it, and its seat is free again."""
    with listening(endpoint=TcpEndpoint("127.0.0.1", 0, keepalive_s=1)) as listener:
        peer = connect(listener)
        drain(listener)
        (connection,) = listener._connections.values()
        assert connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        with contextlib.suppress(PermissionError):  # only root can make a socket vanish without a word
            peer.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, 1)
        peer.close()
        until(lambda: drain(listener) and listener.status()["connections_idle"] == 0)
        assert listener.status()["closed_reset"] + listener.status()["closed_peer"] == 1


@pytest.mark.parametrize("line", [b"x" * (12 << 20), b"x\0" * (6 << 20)], ids=["too_long", "binary"])
def test_3_a_giant_line_is_dropped_in_constant_memory(line: bytes) -> None:
    """A line far beyond the limit is dropped up to its newline, in little memory; the connection goes on."""
    content = b"a,1\n" + line + b"\nb,2\n"
    with listening(line_bytes=10_000) as listener, connect(listener) as peer:
        sender = threading.Thread(target=peer.sendall, args=(content,))
        tracemalloc.start()
        sender.start()
        text = b""
        dropped: dict[str, int] = {}
        while not text.endswith(b"b,2\n"):
            texts, more = drain(listener)
            text += texts.get("s:tcp#000001", b"")
            dropped |= more
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        sender.join()
        assert text == b"a,1\nb,2\n"
        assert dropped == {"binary" if b"\0" in line else "too_long": 1}
        assert peak < 6 << 20, "half of the line"


def test_3_long_lines_do_not_make_chunks_small() -> None:
    """A peer with a long line now and then is read as fast as any: one chunk has all that is there."""
    with listening(line_bytes=100) as listener, connect(listener) as peer:
        peer.sendall((b"a,1\n" * 10 + b"x" * 200 + b"\n") * 100)
        texts, dropped = drain(listener)
        assert (texts, dropped) == ({"s:tcp#000001": b"a,1\n" * 1000}, {"too_long": 100})
        peer.sendall((b"a,1\n" * 10 + b"x" * 200 + b"\n") * 100)
        (chunk,) = until(lambda: listener.poll(1 << 20))
        assert len(chunk.data) == 4000
        inside = chunk.position_at(2000, None)
        assert inside["lines"] == 1100 + 10, "the lines before the first one dropped"


def test_3_unfinished_lines_of_many_peers_stay_within_bounds() -> None:
    """Beyond the budget for unfinished lines, only peers with little of them are read; a short line still gets in."""
    with ExitStack() as stack:
        listener = stack.enter_context(listening(line_bytes=1 << 20, max_connections=64))
        greedy = [stack.enter_context(connect(listener)) for _ in range(40)]
        drain(listener)
        for peer in greedy:
            peer.setblocking(False)
        for _ in range(30):
            for peer in greedy:
                with contextlib.suppress(BlockingIOError):
                    peer.send(b"x" * 40_000)
            drain(listener, 1)
        assert listener.status()["lag_bytes"] < BUFFER_BYTES + 40 * 40_000
        good = stack.enter_context(connect(listener))
        good.sendall(b"a,1\n")
        assert [chunk.data for chunk in poll(listener)] == [b"a,1\n"]


def test_4_a_storm_of_connections_is_refused_beyond_the_limit() -> None:
    """Of 50 peers that speak, 8 have a seat; the others are refused and counted, and those 8 are still heard."""
    clock = Clock()
    with ExitStack() as stack:
        listener = stack.enter_context(listening(clock, max_connections=8))
        first = [stack.enter_context(connect(listener)) for _ in range(8)]
        for peer in first:
            peer.sendall(b"a,1\n")
        until(lambda: drain(listener) and listener.status()["lines"] == 8)
        late = [stack.enter_context(connect(listener)) for _ in range(42)]
        drain(listener)
        assert all(gone(peer) for peer in late)
        for peer in first:
            peer.sendall(b"a,2\n")
        assert sum(len(text) for text in drain(listener)[0].values()) == 32
        status = listener.status()
        assert (status["refused_limit"], status["connections_idle"]) == (42, 8)
        assert {message for message, _ in clock.noticed} == {"connection refused"}


def test_4_idle_peers_cannot_starve_active_ones() -> None:
    """With every seat taken by peers that never speak, each new one displaces the oldest of them, and is heard."""
    with ExitStack() as stack:
        listener = stack.enter_context(listening(max_connections=8))
        meter = stack.enter_context(connect(listener))
        meter.sendall(b"m,1\n")
        poll(listener)
        stalled = []
        for _ in range(30):
            stalled.append(stack.enter_context(connect(listener)))
            drain(listener, 1)
        good = stack.enter_context(connect(listener))
        good.sendall(b"a,1\n")
        assert [chunk.data for chunk in poll(listener)] == [b"a,1\n"]
        meter.sendall(b"m,2\n")
        assert [chunk.data for chunk in poll(listener)] == [b"m,2\n"], "one that spoke keeps its seat"
        assert listener.status()["closed_displaced"] == 24
        assert gone(stalled[0])
        assert not gone(stalled[-1])


def test_4_each_peer_has_its_turn() -> None:
    """A peer that always has more to say does not keep the others waiting: each poll reads from everyone."""
    with listening() as listener, connect(listener) as greedy, connect(listener) as good:
        stop = threading.Event()

        def flood() -> None:
            while not stop.is_set():
                greedy.sendall(b"x,1\n" * 50_000)

        flooding = threading.Thread(target=flood)
        flooding.start()
        poll(listener)
        good.sendall(b"a,1\n")
        polls = 0
        while not any(chunk.data == b"a,1\n" for chunk in poll(listener, 100_000)):
            polls += 1
        stop.set()
        while flooding.is_alive():
            drain(listener, 1)
        assert polls < 20


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Puts the limit of descriptors back."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_5_without_descriptors_it_waits_and_recovers(descriptors: None) -> None:
    """When no descriptor is left, accepting pauses, growing up to 5 s; nobody is lost, and it goes on by itself."""
    clock = Clock()
    with listening(clock) as listener, connect(listener) as first, connect(listener) as second:
        first.sendall(b"a,1\n")
        second.sendall(b"b,2\n")
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        with socket.socket() as probe:
            lowest = probe.fileno()
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
        for _ in range(600):
            assert listener.poll(1000) == []
            clock.now += 0.1
        attempts = listener.status()["descriptors_exhausted"]
        assert 10 < attempts < 30
        assert [message for message, _ in clock.noticed] == ["cannot accept connections, trying again"] * int(attempts)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        clock.now += 5
        texts = until(lambda: drain(listener)[0])
        assert sorted(texts.values()) == [b"a,1\n", b"b,2\n"]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.binary(max_size=6), max_size=5), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_6_interleaved_partial_lines_stay_apart(lines: list[list[bytes]], chance: random.Random) -> None:
    """However the bytes of many peers are interleaved, each connection's lines are its own."""
    contents = [b"".join(line.replace(b"\n", b"") + b"\n" for line in own) for own in lines]
    with ExitStack() as stack:
        listener = stack.enter_context(listening())
        peers = [stack.enter_context(connect(listener)) for _ in contents]
        pieces = [(number, bytes([byte])) for number, content in enumerate(contents) for byte in content]
        order = sorted(range(len(pieces)), key=lambda _: chance.random())
        queues = [[piece for own, piece in pieces if own == number] for number in range(len(contents))]
        got: dict[str, bytes] = {}
        for index in order:
            number = pieces[index][0]
            peers[number].sendall(queues[number].pop(0))
            if chance.random() < 0.2:
                for place, text in drain(listener, 1)[0].items():
                    got[place] = got.get(place, b"") + text
        for place, text in drain(listener)[0].items():
            got[place] = got.get(place, b"") + text
        assert got == {f"s:tcp#{n:06d}": content for n, content in enumerate(contents, 1) if content}


def test_11_a_disconnect_in_a_line_discards_it() -> None:
    """The part of a line before a disconnect is counted and never read, the lines before it are."""
    with listening() as listener:
        with connect(listener) as peer:
            peer.sendall(b"a,1\na,23")
        assert until(lambda: drain(listener)) == ({"s:tcp#000001": b"a,1\n"}, {"incomplete": 1})
        assert (listener.status()["partial_lines"], listener.status()["closed_peer"]) == (1, 1)
        assert listener.forgotten() == ["s:tcp#000001"]


def test_11_a_reset_in_a_line_discards_it() -> None:
    """A connection that is torn down instead of closed is no different."""
    with listening() as listener:
        peer = connect(listener)
        peer.sendall(b"a,1\na,23")
        poll(listener)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.close()
        assert until(lambda: drain(listener)[1]) == {"incomplete": 1}
        assert listener.status()["closed_reset"] == 1


def test_12_not_reading_is_the_backpressure() -> None:
    """A sender faster than the reader is made to wait; nothing is lost, and little is held in between."""
    lines = b"".join(b"%d,series,1.5\n" % number for number in range(400_000))
    with listening() as listener, connect(listener) as peer:
        peer.settimeout(60)
        sender = threading.Thread(target=peer.sendall, args=(lines,))
        sender.start()
        got = bytearray()
        while len(got) < len(lines):
            for chunk in poll(listener, 200_000):
                assert len(chunk.data) <= 200_000 + (1 << 20)
                got += chunk.data
            assert listener.status()["lag_bytes"] <= 1 << 20
        sender.join()
        assert bytes(got) == lines


def test_12_a_place_that_is_held_is_not_read() -> None:
    """While the reader holds enough of a connection, it is left alone, and is not late for it."""
    clock = Clock()
    with listening(clock) as listener, connect(listener) as peer:
        peer.sendall(b"a,1\nb")
        (chunk,) = poll(listener)
        peer.sendall(b",2\n")
        for _ in range(10):
            clock.now += 3600
            assert listener.poll(1000, {chunk.place}) == []
        assert [chunk.data for chunk in poll(listener)] == [b"b,2\n"]


def test_13_ack_tells_how_many_lines_are_durable() -> None:
    """`ok N` comes when N lines of the connection are durable, not before; rejected and dropped ones count too."""
    with listening(ack=True, line_bytes=10) as listener, connect(listener) as peer:
        peer.sendall(b"a,1\n\nnonsense\n" + b"x" * 100 + b"\nb,2\nc")
        first = until(lambda: listener.poll(1000))
        peer.setblocking(False)
        with pytest.raises(BlockingIOError):
            peer.recv(100)
        listener.committed({first[0].place: first[0].position_at(4, None)})
        assert peer.recv(100) == b"ok 1\n"
        listener.committed({first[0].place: first[0].position_at(len(first[0].data), None)})
        drain(listener)
        assert peer.recv(100).splitlines()[-1] == b"ok 5"


def test_13_ack_is_the_last_word_to_a_peer_that_has_ended() -> None:
    """A peer that has closed its sending side is told of its last line before this side closes too."""
    with listening(ack=True) as listener, connect(listener) as peer:
        peer.sendall(b"a,1\nb,2\n")
        peer.shutdown(socket.SHUT_WR)
        chunks = until(lambda: listener.poll(1000))
        drain(listener)
        assert listener.status()["connections_idle"] == 1, "its lines are not durable yet"
        listener.committed({chunk.place: chunk.position_at(len(chunk.data), None) for chunk in chunks})
        drain(listener)
        assert (peer.recv(100), peer.recv(100)) == (b"ok 2\n", b"")


def test_13_a_peer_that_reads_no_answer_costs_nothing() -> None:
    """Answers nobody reads are not collected: what is held is one line, and the newest number comes when it reads."""
    with listening(ack=True) as listener, connect(listener) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        drain(listener)
        (connection,) = listener._connections.values()
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        while not connection.tell():
            connection.acknowledge(connection._durable + 1)
        connection.acknowledge(connection._durable + 1000)
        connection.tell()
        assert len(connection._out) <= len(b"ok 9999999\n")
        last, told = connection._durable, b""
        while not told.endswith(b"ok %d\n" % last):
            drain(listener, 1)
            told += peer.recv(65536)
        numbers = [int(line.split()[1]) for line in told.splitlines()]
        assert numbers == sorted(set(numbers))


def test_14_only_allowed_networks_are_let_in() -> None:
    """A peer from elsewhere is refused and counted; IPv4 addresses that arrive as IPv6 are seen for what they are."""
    with listening(endpoint=TcpEndpoint("127.0.0.1", 0, allow=["192.0.2.0/24", "::1/128"])) as listener:
        with connect(listener) as peer:
            drain(listener)
            assert until(lambda: gone(peer))
        assert listener.status()["refused_network"] == 1
    with listening(endpoint=TcpEndpoint("::", 0, allow=["127.0.0.0/8"])) as listener:
        port = int(listener.address.rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port)) as peer:
            peer.sendall(b"a,1\n")
            assert [chunk.data for chunk in poll(listener)] == [b"a,1\n"]
        with socket.create_connection(("::1", port)) as peer:
            drain(listener)
            assert until(lambda: gone(peer))


def test_by_default_only_this_machine_is_let_in() -> None:
    """An address that all the world can reach lets nobody else in unless `allow` says so."""
    assert TcpEndpoint("0.0.0.0", 0).refusal(("192.0.2.1", 5)) == "network"
    assert TcpEndpoint("0.0.0.0", 0).refusal(("127.0.0.1", 5)) is None


def test_an_address_that_is_taken_is_said_to_be() -> None:
    """Where, why and what to do, in one line."""
    with listening() as listener:
        endpoint = TcpEndpoint("127.0.0.1", int(listener.address.rsplit(":", 1)[1]))
        with pytest.raises(ListenError, match=r"cannot listen on 127\.0\.0\.1:\d+: Address already in use; free it"):
            endpoint.listen()


def test_defaults_are_on() -> None:
    """Deadlines of a line, of silence and of a handshake are there without being asked for."""
    assert Deadlines() == Deadlines(line_s=30, idle_s=3600, handshake_s=10)
