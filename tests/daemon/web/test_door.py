"""TLS and passwords by a web-config file, over real connections."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import bcrypt
import pytest

from daemon.config.document import ConfigError
from daemon.config.settings import HttpSettings
from daemon.web import crowd, routes
from daemon.web.door import Door
from daemon.web.records import Records
from daemon.web.web_auth import Access
from daemon.web.web_config import read
from tests.adapters.sockets.certificates import Authority, Pair
from tests.daemon.web.http_server import NOWHERE, Answer, ask, reloaded, talk
from tests.daemon.web.pictures import picture

HASH = "$2b$04$B8wAWtI41DjESJDr3cSNJ.zcu0nTNGAzQr5kOyb2jk8H0Bh5XZPX2"
"""Of `tide & time`, at the least cost; fixed, because parts of it name tests."""


def password(user: str, text: str) -> dict[str, str]:
    """The header of basic authentication."""
    return {"Authorization": aiohttp.encode_basic_auth(user, text)}


RIGHT = password("ada", "tide & time")

Work = Callable[[str, Door], Awaitable[Any]]


def opened(work: Work, path: Path | None, **settings: Any) -> Any:
    """What `work` makes of a door's address, and the door."""

    async def run() -> Any:
        access = Access()
        app = routes.make_app(
            picture, Records(NOWHERE), healthy=lambda: True, ready=lambda: (True, ""), reload=reloaded, access=access
        )
        door = Door(app, access, HttpSettings(listen="127.0.0.1:0", web_config=path, **settings))
        await door.open()
        try:
            return await work(door.name, door)
        finally:
            await door.close()

    return asyncio.run(run())


@pytest.fixture
def passwords(tmp_path: Path) -> Path:
    """A web-config file with one user."""
    path = tmp_path / "web.yml"
    path.write_text(f"basic_auth_users:\n  ada: {HASH}\n")
    return path


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that signs what is trusted here."""
    return Authority(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture
def certified(tmp_path: Path, authority: Authority) -> Path:
    """A web-config file with a certificate for 127.0.0.1."""
    pair = authority.issue("server")
    path = tmp_path / "tls.yml"
    path.write_text(f"tls_server_config:\n  cert_file: {pair.certificate}\n  key_file: {pair.key}\n")
    return path


def trusting(authority: Authority, pair: Pair | None = None) -> ssl.SSLContext:
    """A client that trusts the authority and perhaps shows a certificate."""
    context = ssl.create_default_context(cafile=authority.file)
    if pair:
        context.load_cert_chain(pair.certificate, pair.key)
    return context


@pytest.mark.parametrize("path", ["/", "/metrics", "/api/v1/status", "/-/healthy", "/nothing/here"])
def test_every_path_asks_for_the_password(passwords: Path, path: str) -> None:
    """401 and the challenge for unknown paths too, so that nothing is told; the right password gets in."""

    async def work(address: str, _: Door) -> tuple[Answer, Answer]:
        return await ask(address + path), await ask(address + path, headers=RIGHT)

    refused, let_in = opened(work, passwords)
    assert refused.status == 401
    assert refused.headers["WWW-Authenticate"].startswith("Basic ")
    assert let_in.status == (404 if path == "/nothing/here" else 200)


def credentials(text: bytes) -> str:
    return "Basic " + base64.b64encode(text).decode()


@pytest.mark.parametrize(
    "header",
    [
        credentials(b"ada:wrong"),
        credentials(b"eve:tide & time"),
        credentials(b":tide & time"),
        credentials(b"ada"),
        credentials(b"ada:" + b"x" * 73),
        credentials(b"ada:tide\0"),
        credentials(b"\xff\xfe:x"),
        "Basic ???",
        "Bearer tide",
        "Basic",
    ],
)
def test_what_is_not_the_password_is_refused(passwords: Path, header: str) -> None:
    """Wrong, unknown, empty, too long or unreadable: 401, never an error."""

    async def work(address: str, _: Door) -> Answer:
        return await ask(address + "/metrics", headers={"Authorization": header})

    assert opened(work, passwords).status == 401


def test_metrics_can_be_open_while_the_rest_is_not(passwords: Path) -> None:
    """With `metrics_without_password` a scraper needs none, and gets nothing else."""

    async def work(address: str, _: Door) -> list[int]:
        return [(await ask(address + path)).status for path in ("/metrics", "/metrics/", "/", "/-/reload")]

    assert opened(work, passwords, metrics_without_password=True) == [200, 401, 401, 401]


def test_guessing_holds_up_nobody_who_is_known(passwords: Path) -> None:
    """While many wrong passwords are checked, the guesses beyond a limit get 503 and the known one is let in."""
    slow = bcrypt.hashpw(b"slow", bcrypt.gensalt(10)).decode()
    passwords.write_text(f"basic_auth_users:\n  ada: {HASH}\n  bob: {slow}\n")

    async def work(address: str, _: Door) -> tuple[int, set[int]]:
        assert (await ask(address + "/metrics", headers=RIGHT)).status == 200
        guesses = [
            asyncio.create_task(ask(address + "/", headers=password("bob", str(number)))) for number in range(30)
        ]
        await asyncio.sleep(0.1)
        known = (await ask(address + "/metrics", headers=RIGHT)).status
        assert not all(guess.done() for guess in guesses)
        return known, {answer.status for answer in await asyncio.gather(*guesses)}

    assert opened(work, passwords) == (200, {401, 503})


def test_connections_that_agree_on_no_tls_are_displaced(
    certified: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections that say nothing, or no TLS, are strangers too: the oldest goes, and a client with TLS is served."""
    monkeypatch.setattr(crowd, "STRANGERS", 5)

    async def work(address: str, _: Door) -> tuple[bytes, bytes, int, int]:
        host, port = address.removeprefix("https://").split(":")
        silent = [await asyncio.open_connection(host, int(port)) for _ in range(40)]
        status = (await ask(address + "/-/healthy", ssl=trusting(authority))).status
        first = await asyncio.wait_for(silent[0][0].read(), 5)
        plain = await asyncio.open_connection(host, int(port))
        plain[1].write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        said = await asyncio.wait_for(plain[0].read(), 5)
        again = (await ask(address + "/-/healthy", ssl=trusting(authority))).status
        for pair in (*silent, plain):
            pair[1].close()
        return first, said, status, again

    first, said, *statuses = opened(work, certified)
    assert first == b""
    assert not said.startswith(b"HTTP")
    assert statuses == [200, 200]


def test_a_changed_file_holds_within_a_look(passwords: Path) -> None:
    """A removed user is out and a new one in; a file that cannot be used leaves the one before in force."""

    async def work(address: str, door: Door) -> list[int]:
        seen = [(await ask(address + "/", headers=RIGHT)).status]
        for text in (f"basic_auth_users:\n  bob: {HASH}\n", "basic_auth_users:\n  eve: plain\n"):
            passwords.write_text(text)
            await door.look_again()
            for user in ("ada", "bob"):
                seen.append((await ask(address + "/", headers=password(user, "tide & time"))).status)
        return seen

    assert opened(work, passwords) == [200, 401, 200, 401, 200]


def test_tls_takes_the_place_of_plain_http(certified: Path, authority: Authority) -> None:
    """A client that trusts the authority is served; plain HTTP is not answered in the clear."""

    async def work(address: str, _: Door) -> tuple[str, int, bytes]:
        answer = await ask(address + "/-/healthy", ssl=trusting(authority))
        plain = await talk(address.replace("https", "http"), b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return address, answer.status, plain

    address, status, plain = opened(work, certified)
    assert (address.split(":")[0], status) == ("https", 200)
    assert b"HTTP" not in plain


def test_old_versions_of_tls_are_refused(certified: Path, authority: Authority) -> None:
    """With min_version TLS13 a client that speaks only 1.2 does not get in."""
    certified.write_text(certified.read_text() + "  min_version: TLS13\n")
    old = trusting(authority)
    old.maximum_version = ssl.TLSVersion.TLSv1_2

    async def work(address: str, _: Door) -> int:
        with pytest.raises(aiohttp.ClientConnectionError):
            await ask(address + "/-/healthy", ssl=old)
        return (await ask(address + "/-/healthy", ssl=trusting(authority))).status

    assert opened(work, certified) == 200


def test_client_certificates_are_verified(certified: Path, authority: Authority, tmp_path: Path) -> None:
    """None, a foreign one and an expired one are refused; one of the authority's is let in, before and after."""
    good, expired = authority.issue("client"), authority.issue("expired", days=(-9, -1))
    foreign = Authority(tmp_path, "foreign").issue("stranger")
    wanted = f"  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: {authority.file}\n"
    certified.write_text(certified.read_text() + wanted)

    async def work(address: str, _: Door) -> list[int]:
        seen = []
        for pair in (good, None, foreign, expired, good):
            try:
                seen.append((await ask(address + "/-/healthy", ssl=trusting(authority, pair))).status)
            except aiohttp.ClientError:
                seen.append(0)
        return seen

    assert opened(work, certified) == [200, 0, 0, 0, 200]


def test_a_renewed_certificate_is_served_without_a_gap(certified: Path, authority: Authority) -> None:
    """After a look, new connections see the new certificate, those open go on, and none is refused meanwhile."""

    async def serial(address: str) -> int:
        _, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]), ssl=tls)
        found = int(writer.get_extra_info("peercert")["serialNumber"], 16)
        writer.close()
        return found

    tls = trusting(authority)

    async def work(address: str, door: Door) -> tuple[int, int]:
        async with aiohttp.ClientSession() as session:
            async with session.get(address + "/-/healthy", ssl=tls) as answer:
                assert answer.status == 200
            before = await serial(address)
            authority.issue("server")
            stop = asyncio.Event()

            async def knock() -> None:
                while not stop.is_set():
                    await serial(address)

            knocking = [asyncio.create_task(knock()) for _ in range(4)]
            await asyncio.sleep(0.05)
            await door.look_again()
            await asyncio.sleep(0.05)
            stop.set()
            await asyncio.wait_for(asyncio.gather(*knocking), 20)
            async with session.get(address + "/-/healthy", ssl=tls) as answer:
                assert answer.status == 200
            return before, await serial(address)

    before, after = opened(work, certified)
    assert before != after


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("tls_server_config: {cert_file: none.pem, key_file: none.key}\n", "cannot be used: No such file"),
        ("tls_server_config: {cert_file: web.yml, key_file: web.yml}\n", "unencrypted PEM files"),
        ("tls_server_config: {cert_file: x}\n", "tls_server_config.key_file is missing"),
        ("tls_server_config: {cert_file: x, key_file: x, cipher_suites: [a]}\n", "cipher_suites is not known here"),
        ("tls_server_config: {cert_file: x, key_file: x, client_auth_type: RequestClientCert}\n", "has not; set"),
        ("tls_server_config: {cert_file: x, key_file: x, min_version: TLS13, max_version: TLS12}\n", "set it as low"),
        ("http_server_config: {http2: true}\n", "http_server_config is not known here"),
        ("basic_auth_users: {ada: secret}\n", "basic_auth_users.ada is not a bcrypt hash; make one with htpasswd"),
        (f"basic_auth_users: {{'a:b': '{HASH}'}}\n", "cannot carry"),
        (f"basic_auth_users: {{ada: '{HASH.replace('$04$', '$31$')}'}}\n", "cost 31, which takes too long"),
        ("basic_auth_users: [ada]\n", "basic_auth_users is not what belongs here"),
        ("- a\n", "there are no keys here"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, text: str, problem: str) -> None:
    """File, line, what is there and what to do; a password hash is never repeated."""
    path = tmp_path / "web.yml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read(path)
    (line,) = map(str, caught.value.problems)
    assert line.startswith(f"{path}")
    assert problem in line
    assert "secret" not in line
    assert HASH[7:] not in line


def test_paths_are_relative_to_the_file(tmp_path: Path, authority: Authority) -> None:
    """As Prometheus' exporters have it."""
    pair = authority.issue("server")
    for path in map(Path, (pair.certificate, pair.key)):
        path.rename(tmp_path / path.name)
    (tmp_path / "web.yml").write_text("tls_server_config: {cert_file: server.crt, key_file: server.key}\n")
    assert read(tmp_path / "web.yml").files[1:] == (tmp_path / "server.crt", tmp_path / "server.key")


def test_a_refused_reload_forgets_nothing_that_is_watched(certified: Path, authority: Authority) -> None:
    """Settings without TLS were prepared and abandoned: a certificate renewed after that is still noticed."""

    async def serial(address: str) -> int:
        host, port = address.rpartition("//")[2].split(":")
        _, writer = await asyncio.open_connection(host, int(port), ssl=trusting(authority), server_hostname="localhost")
        found = writer.get_extra_info("ssl_object").getpeercert()["serialNumber"]
        writer.close()
        return int(found, 16)

    async def work(address: str, door: Door) -> tuple[int, int]:
        before = await serial(address)
        await (await door.prepare(HttpSettings(listen="127.0.0.1:0"))).abandon()
        authority.issue("server")
        await door.look_again()
        return before, await serial(address)

    before, after = opened(work, certified)
    assert before != after


def test_a_door_that_cannot_be_used_stays_as_it_was(passwords: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Moving to a new address fails in the middle: the old one answers, with the passwords that it had."""

    async def work(address: str, door: Door) -> tuple[int, int]:
        prepared = await door.prepare(HttpSettings(listen="127.0.0.2:0"))
        assert prepared.site is not None

        async def fail(site: object) -> None:
            raise OSError("no descriptor left")

        with monkeypatch.context() as broken:
            broken.setattr(door._server, "move", fail)
            with pytest.raises(OSError, match="no descriptor left"):
                await door.use(prepared)
        return (await ask(f"{address}/-/healthy")).status, (await ask(f"{address}/-/healthy", headers=RIGHT)).status

    assert opened(work, passwords) == (401, 200)


def test_names_follow_the_settings() -> None:
    """`http.hosts` is answered from the start, and another list from the reload on."""

    async def status(address: str, host: str) -> int:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{address}/-/healthy", headers={"Host": host}) as answer,
        ):
            return answer.status

    async def work(address: str, door: Door) -> list[int]:
        before = [await status(address, host) for host in ("tide.lan", "gauge.lan")]
        await door.use(await door.prepare(HttpSettings(listen="127.0.0.1:0", hosts=["gauge.lan"])))
        return before + [await status(address, host) for host in ("tide.lan", "gauge.lan")]

    assert opened(work, None, hosts=["tide.lan"]) == [200, 421, 421, 200]
