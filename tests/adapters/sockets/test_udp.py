"""Datagrams: whole lines each, and every one that is lost is counted."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from adapters.sockets.udp import UdpListener
from tests.adapters.sockets.peers import Clock, drain, poll


@contextmanager
def listening(clock: Clock, **options: Any) -> Iterator[tuple[UdpListener, socket.socket]]:
    """An open UDP listener and a peer connected to it."""
    listener = UdpListener("s", "127.0.0.1", 0, monotonic=clock, notice=clock.notice, **options)
    with closing(listener), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        listener.open({})
        host, port = listener.address.rsplit(":", 1)
        peer.connect((host, int(port)))
        yield listener, peer


def test_each_datagram_holds_whole_lines() -> None:
    """Lines never run on from one datagram to the next; the last one of each needs no newline, an empty one is none."""
    with listening(Clock()) as (listener, peer):
        for datagram in (b"a,1\nb,2", b"", b"c,3\n", b"d,4"):
            peer.send(datagram)
        (chunk,) = poll(listener)
        assert (chunk.place, chunk.series, chunk.data) == ("s:udp", "udp", b"a,1\nb,2\nc,3\nd,4\n")


def test_7_a_datagram_that_was_cut_off_is_counted() -> None:
    """What is whole in a datagram too long counts, the line that was cut is `too_long`, and the next is read."""
    clock = Clock()
    with listening(clock, datagram_bytes=20) as (listener, peer):
        for datagram in (b"a,1\nb,2\nc,3333333333333\n", b"x" * 30, b"d,4\n"):
            peer.send(datagram)
        assert drain(listener) == ({"s:udp": b"a,1\nb,2\nd,4\n"}, {"too_long": 2})
        assert listener.status()["truncated_datagrams"] == 2
        assert {message for message, _ in clock.noticed} == {"datagram cut off"}


def test_7_the_longest_datagram_there_can_be_is_read() -> None:
    """By default nothing is cut off."""
    lines = b"a,1\n" * 16_000
    with listening(Clock()) as (listener, peer):
        peer.send(lines)
        assert drain(listener) == ({"s:udp": lines}, {})


def test_7_what_the_kernel_drops_is_counted() -> None:
    """Sent is read plus dropped, to the datagram, when nobody reads for a while."""
    clock = Clock()
    with listening(clock) as (listener, peer):
        sent = 30_000
        for number in range(sent):
            peer.send(b"%d\n" % number)
        clock.now += 1
        read = len(drain(listener)[0]["s:udp"].splitlines())
        clock.now += 1
        drain(listener)
        status = listener.status()
        assert status["kernel_drops"] > 0
        assert read + status["kernel_drops"] == sent
        assert status["lines"] == status["datagrams"] == read
        assert "datagrams dropped by the kernel, nobody read in time" in {message for message, _ in clock.noticed}


def test_7_what_the_kernel_drops_is_counted_while_nobody_reads() -> None:
    """A stream that waits is not read for a while: whoever asks for the counts sees what that costs."""
    clock = Clock()
    with listening(clock) as (listener, peer):
        for number in range(30_000):
            peer.send(b"%d\n" % number)
        clock.now += 1
        assert listener.status()["kernel_drops"] > 0


def test_12_a_poll_reads_no_more_than_it_may() -> None:
    """Datagrams beyond the limit wait for the next poll."""
    with listening(Clock()) as (listener, peer):
        for _ in range(100):
            peer.send(b"x" * 99 + b"\n")
        assert len(poll(listener, 1000)[0].data) == 1000
        assert len(drain(listener)[0]["s:udp"]) == 9000


def test_14_datagrams_from_elsewhere_are_refused() -> None:
    """A datagram from a network that is not allowed is counted and not read."""
    with listening(Clock(), allow=["192.0.2.0/24"]) as (listener, peer):
        peer.send(b"a,1\n")
        assert drain(listener) == ({}, {})
        assert (listener.status()["refused_network"], listener.status()["datagrams"]) == (1, 0)
