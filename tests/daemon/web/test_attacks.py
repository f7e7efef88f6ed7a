"""What a stranger may try with the page: each is refused, and costs little."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.daemon.web.http_server import server, talk
from tests.daemon.web.test_write_routes import TOKEN, Recorder

GIGABYTE = 1 << 30
PIECE = b" " * 65_536
MOST_TAKEN = 64 << 20
"""What a server, the buffers of two sockets and a slow machine may swallow of a gigabyte before the door is shut."""


def flooded(tmp_path: Path, head: str, piece: bytes, path: str = "/api/v1/labels") -> tuple[int, bytes]:
    """Bytes of a body that were sent before the server answered, and what it said; a gigabyte is on offer."""
    (tmp_path / "token").write_text(TOKEN)
    recorder = Recorder(tmp_path / "token")

    async def run() -> tuple[int, bytes]:
        async with server(commands=recorder.commands) as address:
            host, port = address.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            lines = f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
            writer.write(f"{lines}X-Tidegauge-Token: {TOKEN}\r\n{head}\r\n\r\n".encode())
            taken, answer = 0, asyncio.create_task(reader.read(4096))
            try:
                while taken < GIGABYTE and not answer.done():
                    writer.write(piece)
                    await asyncio.wait_for(writer.drain(), 30)
                    taken += len(piece)
                    await asyncio.sleep(0)
                return taken, await answer
            finally:
                answer.cancel()
                writer.transport.abort()

    found = asyncio.run(run())
    assert recorder.calls == []
    return found


@pytest.mark.parametrize("path", ["/api/v1/labels", "/label", "/api/v1/maintenance"])
def test_a_gigabyte_that_is_declared(tmp_path: Path, path: str) -> None:
    """It is refused before much of it has come; nothing is done."""
    taken, said = flooded(tmp_path, f"Content-Length: {GIGABYTE}", PIECE, path)
    assert taken < MOST_TAKEN
    assert said.split()[1] in (b"403", b"413")  # the token of a form lies in a body that is none


def test_a_gigabyte_in_chunks(tmp_path: Path) -> None:
    """Without a length it is read up to the bound of a body, and no further."""
    piece = f"{len(PIECE):x}\r\n".encode() + PIECE + b"\r\n"
    taken, said = flooded(tmp_path, "Transfer-Encoding: chunked", piece)
    assert taken < MOST_TAKEN
    assert said.startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "//etc/passwd",
        "/api/v1/../../etc/passwd",
        "/event?id=../../../etc/passwd",
        "/api/v1/events/..%2f..%2fetc%2fpasswd",
    ],
)
def test_a_path_outside(path: str) -> None:
    """There is nothing there: files are not served by path at all."""

    async def run() -> bytes:
        async with server() as address:
            host = address.removeprefix("http://")
            return await talk(address, f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode(), 60)

    said = asyncio.run(run())
    assert said.split()[1] in (b"400", b"404")
    assert b"root:" not in said
