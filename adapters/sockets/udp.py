"""Lines from datagrams; what the kernel drops because nobody read in time is counted."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from adapters.base import Chunk, Notice, Position, unnoticed
from adapters.lines import Cut, LineCutter
from adapters.peer_source import PeerSource
from adapters.sockets.endpoint import shown
from adapters.sockets.tcp import Networks, bind
from adapters.source_kind import Surroundings

DATAGRAM_BYTES = 65_535
RECEIVE_BYTES = 4 << 20
"""Kernel buffer asked for; without privileges the kernel gives at most net.core.rmem_max."""
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("9I")
_DROPS = 8
_EVERY_S = 0.5


class UdpListener(PeerSource):
    """Lines from anybody's datagrams; all of them are one place, `NAME:udp`.

    A datagram holds whole lines; the last one needs no newline. One longer than `datagram_bytes` arrives cut off: the
    lines that are whole count, the one that was cut is `too_long`. A position is `{"offset": bytes, "lines": lines}`
    since the start; nothing resumes from it.

    Args:
        name: Name of the source, unique within its stream.
        host: Name or address to listen on.
        port: Port; 0 picks a free one.
        allow: Networks that datagrams may come from.
        line_bytes: Longest line.
        datagram_bytes: Longest datagram; the default is the longest there can be.
        notice: Takes what an operator should read.
        monotonic: Clock of how often the kernel is asked for its drops.
    """

    def __init__(
        self,
        name: str,
        host: str,
        port: int,
        *,
        allow: Iterable[str] = ("127.0.0.0/8", "::1/128"),
        line_bytes: int = 1 << 20,
        datagram_bytes: int = DATAGRAM_BYTES,
        notice: Notice = unnoticed,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(name, notice)
        self._host, self._port, self._networks = host, port, Networks(allow)
        self._cutter, self._datagram_bytes = LineCutter(line_bytes), datagram_bytes
        self._monotonic = monotonic
        self._sock: socket.socket | None = None
        self._bytes = self._lines = 0
        self._asked_at = 0.0

    @property
    def _place(self) -> str:
        return f"{self.name}:udp"

    @property
    def address(self) -> str:
        """See `Live.address`."""
        return "" if self._sock is None else shown(self._sock.getsockname())

    def open(self, positions: Mapping[str, Position]) -> None:
        """Listen. Raises ListenError when the address cannot be had."""
        self._forgotten += positions
        self._sock = bind(self._host, self._port, socket.SOCK_DGRAM)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)

    def poll(self, limit_bytes: int, skip: Collection[str] = ()) -> list[Chunk]:
        """See `Source.poll`."""
        if self._sock is None or self._place in skip:
            return []
        self._count_drops(self._sock)
        truncated = self._receive(self._sock, limit_bytes)
        cut = self._cutter.cut_all()
        if cut is None and not truncated:
            return []
        cut = cut or Cut(b"", 0, {}, 0)
        if truncated:
            cut.discarded["too_long"] = cut.discarded.get("too_long", 0) + truncated
        return [self._chunk(cut)]

    def _receive(self, sock: socket.socket, budget: int) -> int:
        """Feed the datagrams that are there, up to so many bytes; how many of them were cut off."""
        truncated = 0
        while budget > 0:
            try:
                datagram, _, flags, peer = sock.recvmsg(self._datagram_bytes)
            except (BlockingIOError, InterruptedError):
                break
            budget -= max(len(datagram), 64)  # empty ones take time too
            if peer[0] not in self._networks:
                self._counts["refused_network"] += 1
                self._say("datagram refused", reason="network", peer=shown(peer))
                continue
            self._counts["datagrams"] += 1
            if flags & socket.MSG_TRUNC:
                truncated += 1
                datagram = datagram[: datagram.rfind(b"\n") + 1]
            if datagram:
                self._cutter.feed(datagram if datagram.endswith(b"\n") else datagram + b"\n")
        if truncated:
            self._counts["truncated_datagrams"] += truncated
            self._say("datagram cut off", bytes=self._datagram_bytes)
        return truncated

    def _chunk(self, cut: Cut) -> Chunk:
        bytes_before, lines_before = self._bytes, self._lines
        self._bytes += cut.consumed
        self._lines += cut.data.count(b"\n") + sum(cut.discarded.values())
        bytes_after, lines_after = self._bytes, self._lines

        def position_at(offset: int, header: str | None) -> Position:
            if offset == len(cut.data):
                return {"offset": bytes_after, "lines": lines_after}
            known = min(offset, cut.plain)
            return {"offset": bytes_before + known, "lines": lines_before + cut.data.count(b"\n", 0, known)}

        return Chunk(self._place, cut.data, "udp", None, position_at, cut.discarded)

    def _count_drops(self, sock: socket.socket) -> None:
        """Ask the kernel how many datagrams it dropped since the socket was made, if it was not asked just now."""
        now = self._monotonic()
        if now - self._asked_at < _EVERY_S:
            return
        self._asked_at = now
        try:
            answer = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
        except OSError:  # a kernel before 4.12
            return
        drops = _MEMINFO.unpack(answer)[_DROPS] if len(answer) == _MEMINFO.size else 0
        if drops > self._counts["kernel_drops"]:
            self._say("datagrams dropped by the kernel, nobody read in time", dropped=drops)
        self._counts["kernel_drops"] = drops

    def committed(self, positions: Mapping[str, Position]) -> None:
        """Nobody is told: a datagram has no sender that waits."""

    def reload(self) -> None:
        """Nothing to read again."""

    def status(self) -> dict[str, float]:
        """`up`, bytes held, and counts since the start; the kernel drops datagrams while nobody polls, too."""
        if self._sock is not None:
            self._count_drops(self._sock)
        kinds = ("datagrams", "truncated_datagrams", "kernel_drops", "refused_network")
        return {
            "up": float(self._sock is not None),
            "lag_bytes": float(self._cutter.held),
            "lines": float(self._lines),
            **{kind: float(self._counts[kind]) for kind in kinds},
        }

    def close(self) -> None:
        """Release the socket; datagrams that nobody read are gone."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None


def made(name: str, settings: Any, surroundings: Surroundings) -> UdpListener:
    """As an entry of `sources` has it."""
    host, port = settings.address
    line_bytes, notice = surroundings.line_bytes, surroundings.notice
    return UdpListener(name, host, port, allow=settings.allow, line_bytes=line_bytes, notice=notice)
