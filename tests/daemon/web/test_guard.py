"""Which requests the HTTP server looks at: known names, pages of its own, bodies that are not coded."""

from __future__ import annotations

import asyncio
import logging

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.config.settings import HttpSettings
from daemon.web.guard import guard
from daemon.web.web_auth import Access
from tests.daemon.web.http_server import ask, server, talk

POST = b"POST /-/reload HTTP/1.1\r\nHost: localhost\r\n"
GZIP = POST + b"Content-Encoding: gzip\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"
LATE = POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"


class Reloads:
    """A reload that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self) -> bool:
        """See `daemon.web.routes.Reload`."""
        self.calls += 1
        return True


def reloaded(headers: dict[str, str], hosts: frozenset[str] = frozenset()) -> tuple[int, int]:
    """Status of a POST to `/-/reload`, and how often it was done."""
    reload, access = Reloads(), Access()
    access.hosts = hosts

    async def run() -> int:
        async with server(reload=reload, access=access) as address:
            return (await ask(f"{address}/-/reload", "POST", headers=headers)).status

    return asyncio.run(run()), reload.calls


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:9898", "localhost.evil.example", "[::1", "a b", "1.2.3"]
)
def test_a_name_that_is_not_ours_is_refused(host: str) -> None:
    """A page whose name was pointed at this machine (DNS rebinding) can neither reload nor read."""
    assert reloaded({"Host": host}) == (421, 0)


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/api/v1/status", "/api/v1/events", "/nothing"])
def test_no_path_answers_to_a_foreign_name(path: str) -> None:
    """Every path is refused, those that are not there included."""

    async def run() -> int:
        async with server() as address:
            return (await ask(address + path, headers={"Host": "evil.example"})).status

    assert asyncio.run(run()) == 421


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "localhost.", "127.0.0.1", "192.0.2.7:9898", "[::1]:9898", "Tide.Lan:9898"]
)
def test_addresses_localhost_and_configured_names_are_answered(host: str) -> None:
    """An IP address cannot be rebound; names are compared without case, port and last dot."""
    assert reloaded({"Host": host}, frozenset({"tide.lan"})) == (200, 1)


def test_a_request_of_http_1_0_needs_no_host() -> None:
    """Probes that are older than the header are answered; a browser always sends it."""

    async def run() -> bytes:
        async with server() as address:
            return await talk(address, b"GET /-/healthy HTTP/1.0\r\n\r\n")

    assert b" 200 " in asyncio.run(run()).splitlines()[0]


def test_the_names_are_those_of_hosts_and_listen() -> None:
    """`http.hosts` and the host of `http.listen`, in lower case; a name with a scheme or a port is refused."""
    found = HttpSettings(listen="Tide.Lan:9898", hosts=["Gauge.Example."])
    assert found.names == {"tide.lan", "gauge.example"}
    for bad in ("http://a", "a:1", "", "a b"):
        with pytest.raises(ValueError, match="not a host name"):
            HttpSettings(hosts=[bad])


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_page_of_another_site_changes_nothing(headers: dict[str, str]) -> None:
    """What a browser says of the page behind a POST: another origin, none that can be told, or no origin at all."""
    assert reloaded(headers) == (403, 0)


def test_every_method_that_writes_is_guarded() -> None:
    """The guard knows methods, not paths: one added later is refused, too."""

    async def run() -> list[int]:
        app = web.Application(middlewares=[guard(Access())])

        async def done(_: web.Request) -> web.Response:
            return web.Response()

        app.router.add_route("*", "/later", done)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            host, port = runner.addresses[0][:2]
            url, cross = f"http://{host}:{port}/later", {"Sec-Fetch-Site": "cross-site"}
            return [(await ask(url, method, headers=cross)).status for method in ("PUT", "PATCH", "DELETE", "GET")]
        finally:
            await runner.cleanup()

    assert asyncio.run(run()) == [403, 403, 403, 200]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (GZIP, b"415"),
        (GZIP.replace(b"gzip", b"br"), b"415"),
        (GZIP.replace(b"gzip", b"nonsense"), b"415"),
        (LATE.replace(b"3\r\nabc", b"zz"), b"400"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
    ],
)
def test_what_cannot_be_read_is_one_4xx_without_a_traceback(
    sent: bytes, status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """A bad coding, chunk or head is the client's error: told in a line of words, with the usual headers."""
    caplog.set_level(logging.WARNING)

    async def run() -> bytes:
        async with server() as address:
            return await talk(address, sent)

    said = asyncio.run(run())
    assert said.split(b" ", 2)[1] == status
    assert b"nosniff" in said and b"aiohttp" not in said.lower()
    assert said.partition(b"\r\n\r\n")[2].count(b"\n") == 1
    assert not [record for record in caplog.records if record.exc_info]


def test_a_body_that_goes_bad_after_the_answer_leaves_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """The rest of a body that nobody asked for is read away; what is wrong with it is no error of ours."""
    caplog.set_level(logging.WARNING)

    async def run() -> bytes:
        async with server() as address:
            host, port = address.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(LATE)
            first = await reader.readline()
            writer.write(b"zz\r\n")
            await reader.read()
            writer.close()
            return first

    assert asyncio.run(run()).split(b" ")[1] == b"200"
    assert not [record for record in caplog.records if record.exc_info]


HEADERS = st.sampled_from(
    ["Host", "Origin", "Accept", "Content-Length", "Transfer-Encoding", "Content-Encoding", "Expect"]
)
VALUES = st.one_of(
    st.binary(max_size=12), st.sampled_from([b"localhost", b"gzip", b"chunked", b"3", b"http://[", b"[::"])
)
PATHS = st.one_of(
    st.binary(max_size=12), st.sampled_from([b"", b"api/v1/events?since=x&limit=%00", b"-/reload", b"metrics"])
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([b"GET", b"POST", b"PUT", b"\xff"]), PATHS, st.lists(st.tuples(HEADERS, VALUES), max_size=4),
       st.binary(max_size=20))  # fmt: skip
def test_no_bytes_are_an_error_of_ours(
    caplog: pytest.LogCaptureFixture, method: bytes, path: bytes, headers: list[tuple[str, bytes]], body: bytes
) -> None:
    """Whatever the head and the body: no 5xx, no traceback, and the next client is served."""
    caplog.clear()
    head = b"".join(name.encode() + b": " + value + b"\r\n" for name, value in headers)
    sent = method + b" /" + path + b" HTTP/1.1\r\n" + head + b"Connection: close\r\n\r\n" + body

    async def run() -> tuple[bytes, int]:
        async with server() as address:
            host, port = address.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(sent)
            writer.write_eof()
            said = await reader.read()
            writer.close()
            return said, (await ask(f"{address}/-/healthy")).status

    said, next_status = asyncio.run(run())
    assert not said or said.split(b" ", 2)[1][:1] in (b"1", b"2", b"4"), said
    assert next_status == 200
    assert not [record for record in caplog.records if record.exc_info]
