"""The HTTP server and clients that are silent, slow, many or malformed, over real connections."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from dataclasses import replace

import pytest

from daemon.web import connections, crowd
from tests.daemon.web.http_server import ask, served, server, talk
from tests.daemon.web.pictures import columns, picture, stream


@pytest.mark.parametrize("sent", [b"", b"GET /met", b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow: "])
def test_silent_and_slow_clients_are_closed(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that never finishes its request loses the connection."""
    monkeypatch.setattr(connections, "FIRST_S", 0.3)

    async def work(address: str) -> float:
        began = time.monotonic()
        await talk(address, sent)
        return time.monotonic() - began

    assert served(work) > 0.2


def test_an_idle_client_is_closed_after_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kept connection that asks nothing more is closed, and was kept for a while."""
    monkeypatch.setattr(connections, "IDLE_S", 0.4)

    async def work(address: str) -> tuple[bytes, float]:
        began = time.monotonic()
        said = await talk(address, b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return said, time.monotonic() - began

    said, took = served(work)
    assert said.startswith(b"HTTP/1.1 200")
    assert took > 0.3


def test_a_client_that_does_not_read_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer larger than all buffers whose reader stalls is given up before its end."""
    monkeypatch.setattr(connections, "IDLE_S", 0.4)
    large = picture(stream(series=columns([f"{'x' * 250}{i}" for i in range(3000)])))

    def stall(address: str) -> bytes:
        host, port = address.removeprefix("http://").split(":")
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(10)
            client.connect((host, int(port)))
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            said = client.recv(1000)
            time.sleep(1.0)
            with contextlib.suppress(ConnectionError):
                while more := client.recv(1 << 20):
                    said += more
            return said

    async def work(address: str) -> bytes:
        return await asyncio.to_thread(stall, address)

    said = served(work, shown=replace(large, max_series=10_000))
    head, _, body = said.partition(b"\r\n\r\n")
    length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
    assert 0 < len(body) < length


@pytest.mark.parametrize("limit", ["MOST", "STRANGERS"])
def test_of_too_many_connections_the_oldest_silent_one_goes(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit the newest is served and the oldest that has not asked is closed; those that have asked stay."""
    monkeypatch.setattr(crowd, limit, 3)
    request = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n"

    async def work(address: str) -> tuple[bytes, list[bytes]]:
        host, port = address.removeprefix("http://").split(":")
        asked = await asyncio.open_connection(host, int(port))
        asked[1].write(request)
        first = await asked[0].readuntil(b"\r\n\r\n")
        silent = [await asyncio.open_connection(host, int(port)) for _ in range(3 if limit == "STRANGERS" else 2)]
        newest = await talk(address, request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        gone = await asyncio.wait_for(silent[0][0].read(), 5)
        asked[1].write(request)
        again = await asked[0].readuntil(b"HTTP/1.1 200 OK\r\n")
        for _, writer in (asked, *silent):
            writer.close()
        return gone, [first, newest, again[-17:]]

    gone, answers = served(work)
    assert gone == b""
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nA: " + b"a" * 20_000 + b"\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
        (b"POST /-/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", b"400"),
    ],
)
def test_malformed_requests_are_400(sent: bytes, status: bytes) -> None:
    """Oversized lines, TLS to a plain port and impossible lengths are the client's error, the next one is served."""

    async def work(address: str) -> tuple[bytes, int]:
        return await talk(address, sent), (await ask(f"{address}/-/healthy")).status

    said, next_status = served(work)
    assert said.split(b" ", 2)[1] == status
    assert next_status == 200


@pytest.mark.parametrize("host", ["::1", "127.0.0.1"])
def test_any_address_can_be_listened_on(host: str) -> None:
    """IPv4 or IPv6; port 0 is replaced by the one the system chose."""

    async def run() -> str:
        async with server(listen=(host, 0)) as address:
            assert (await ask(f"{address}/-/healthy")).status == 200
            return address

    assert not asyncio.run(run()).endswith(":0")


def test_an_address_in_use_is_an_error() -> None:
    """Two daemons cannot share an address, and the second says so."""

    async def work(address: str) -> None:
        with pytest.raises(OSError, match="address already in use"):
            async with server(listen=("127.0.0.1", int(address.rpartition(":")[2]))):
                pass

    served(work)
