"""Many connections and many guesses against whoever has the password, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from pathlib import Path

import aiohttp
import bcrypt
import pytest

from daemon.web import crowd, password_checks
from daemon.web.crowd import Crowd, Rank
from daemon.web.door import Door
from daemon.web.password_checks import DisplacedError, PasswordChecks, network_of
from tests.daemon.web.http_server import ask
from tests.daemon.web.test_door import opened, password

USERS = ("ada", "bob", "cy")


async def hold(address: str, sent: bytes) -> None:
    """A client that sends so much and waits, and comes again when it is closed, a second later."""
    host, port = address.removeprefix("http://").split(":")
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(host, int(port))
            try:
                writer.write(sent)
                await reader.read()
            finally:
                writer.transport.abort()
        await asyncio.sleep(1)


async def guess(address: str, numbers: itertools.count[int], kept: bool) -> None:
    """A client that tries one password after the other, on one connection or each on a new one."""
    while True:
        with contextlib.suppress(OSError, aiohttp.ClientError):
            async with aiohttp.ClientSession() as session:
                while True:
                    headers = password("ada", str(next(numbers)))
                    async with session.get(address + "/metrics", headers=headers) as answer:
                        await answer.read()
                    if not kept:
                        break
        await asyncio.sleep(0.01)


async def scrape(address: str, user: str) -> list[int]:
    """What a scraper is answered, which comes again up to five times where it is not let in; 0 for no answer."""
    found: list[int] = []
    while len(found) < 5 and 200 not in found:
        try:
            answer = await asyncio.wait_for(ask(address + "/metrics", headers=password(user, f"right {user}")), 20)
        except (OSError, aiohttp.ClientError):
            found.append(0)
        else:
            found.append(answer.status)
    return found


def test_a_scraper_is_served_among_idlers_and_guessers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """200 connections that send nothing or half a request, and 50 that guess, keep nobody out who has the password.

    The scrapers are not remembered: each comes for the first time, on a new connection. A check takes 50 ms.
    """
    check = bcrypt.checkpw
    monkeypatch.setattr(bcrypt, "checkpw", lambda given, hashed: time.sleep(0.05) is None and check(given, hashed))  # type: ignore[func-returns-value]
    lines = [f"  {user}: {bcrypt.hashpw(f'right {user}'.encode(), bcrypt.gensalt(4)).decode()}\n" for user in USERS]
    (path := tmp_path / "web.yml").write_text("basic_auth_users:\n" + "".join(lines))

    async def work(address: str, _: Door) -> list[list[int]]:
        numbers = itertools.count()
        half = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAuth"
        crowding = [asyncio.create_task(hold(address, half if i % 2 else b"")) for i in range(200)]
        crowding += [asyncio.create_task(guess(address, numbers, i % 2 == 0)) for i in range(50)]
        await asyncio.sleep(1.0)
        answers = [await scrape(address, user) for user in USERS]
        for task in crowding:
            task.cancel()
        await asyncio.gather(*crowding, return_exceptions=True)
        await asyncio.sleep(0.1)  # for transports to end
        return answers

    for statuses in opened(work, path):
        assert statuses[-1] == 200, statuses
        assert 401 not in statuses


class Fellow:
    """A connection."""

    def __init__(self, rank: Rank = Rank.SILENT, known: bool = False) -> None:
        self.rank, self.known, self.closed = rank, known, False

    def give_up(self) -> None:
        """See InCrowd."""
        self.closed = True


def test_strangers_displace_strangers_only() -> None:
    """However many come, connections that were let in stay, and of the others the newest."""
    there, known = Crowd(), [Fellow(Rank.RESTING, known=True) for _ in range(40)]
    strangers = [Fellow() for _ in range(1000)]
    for each in (*known, *strangers):
        there.join(each)
    assert not any(each.closed for each in known)
    assert [each.closed for each in strangers] == [True] * (1000 - crowd.STRANGERS) + [False] * crowd.STRANGERS
    assert len(there) == 40 + crowd.STRANGERS


def test_one_whose_password_is_checked_stays() -> None:
    """Silent ones go first, then those that guessed wrong; where all are being checked the newest goes."""
    there = Crowd()
    checked = [Fellow(Rank.CHECKED) for _ in range(crowd.STRANGERS - 2)]
    held, silent = Fellow(Rank.HELD), Fellow()
    for each in (*checked, held, silent):
        there.join(each)
    more = [Fellow(Rank.CHECKED) for _ in range(3)]
    for each in more:
        there.join(each)
    assert (silent.closed, held.closed) == (True, True)
    assert [each.closed for each in more] == [False, False, True]
    assert not any(each.closed for each in checked)


def test_the_known_give_way_to_the_newest() -> None:
    """At the limit of all, the one that rests longest goes."""
    there = Crowd()
    known = [Fellow(Rank.RESTING, known=True) for _ in range(crowd.MOST)]
    for each in (*known, Fellow()):
        there.join(each)
    assert [each.closed for each in known[:2]] == [True, False]


@pytest.mark.parametrize(("address", "user"), [("10.0.0.2", "ada"), ("10.0.0.1", "bob")])
def test_addresses_and_users_take_turns_and_few_wait(address: str, user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one user and address so many wait, the others are displaced; the check of another comes after one of them."""
    order: list[bytes] = []
    monkeypatch.setattr(bcrypt, "checkpw", lambda given, hashed: not order.append(given))  # type: ignore[func-returns-value]

    async def work() -> tuple[int, bool]:
        checks = PasswordChecks()
        many = [asyncio.create_task(checks.is_right("10.0.0.1", "ada", 0, b"many", b"")) for _ in range(100)]
        one = asyncio.create_task(checks.is_right(address, user, 0, b"one", b""))
        found = await asyncio.gather(*many, return_exceptions=True)
        right = await one
        checks.close()
        return sum(isinstance(each, DisplacedError) for each in found), right

    displaced, right = asyncio.run(work())
    assert right
    assert displaced >= 100 - password_checks.PER_TURN - 1
    assert order.index(b"one") <= 2


def test_who_failed_before_is_displaced_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection without a wrong password stays where others have sent some."""
    monkeypatch.setattr(bcrypt, "checkpw", lambda given, hashed: True)

    async def work() -> bool:
        checks = PasswordChecks()
        fresh = asyncio.create_task(checks.is_right("a", "ada", 0, b"", b""))
        guessing = [asyncio.create_task(checks.is_right("a", "ada", 1, b"", b"")) for _ in range(100)]
        await asyncio.gather(*guessing, return_exceptions=True)
        right = await fresh
        checks.close()
        return right

    assert asyncio.run(work())


def test_each_failure_waits_longer() -> None:
    """An address that fails waits longer each time, up to a limit; another one does not wait for it."""

    async def work() -> tuple[list[float], float]:
        checks = PasswordChecks()
        waits = [checks.failed("10.0.0.1") for _ in range(60)]
        other = checks.failed("10.0.0.2")
        checks.close()
        return waits, other

    waits, other = asyncio.run(work())
    assert waits[0] == other < 1
    assert waits[-1] == max(waits) == 10.0


@pytest.mark.parametrize(
    ("address", "network"),
    [("10.1.2.3", "10.1.2.3"), ("2001:db8::1", "2001:db8::/64"), ("fe80::1%eth0", "fe80::/64"), ("", "")],
)
def test_an_address_of_ipv6_is_its_network(address: str, network: str) -> None:
    """One machine has all addresses of a /64."""
    assert network_of(address) == network
