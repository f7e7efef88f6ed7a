"""Passwords against bcrypt hashes: on a thread of their own, in turns, guesses answered late.

One check takes a core for a tenth of a second and more. So few wait, addresses and the users that they name take turns,
and beyond a limit one is displaced, rather one from a connection that has failed before. What was wrong waits for its
answer, longer each time: those who guess spend their time waiting, and who knows the password finds few before them.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import bcrypt

PER_TURN = 16  # checks of one user from one address that may wait
WAITING = 48  # checks that may wait in all
_STEP_S, _LONGEST_S = 0.25, 10.0  # how much later each wrong password is answered than the one before, and at most
_FORGIVEN_S = 2.0  # in so many seconds one failure of an address is forgotten
_ADDRESSES = 1000  # whose failures are remembered


class DisplacedError(Exception):
    """Too many wait; this password was not checked."""


@dataclass(eq=False, slots=True)
class _Check:
    password: bytes
    hashed: bytes
    failures: int  # on its connection
    right: asyncio.Future[bool] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class PasswordChecks:
    """What waits to be checked, and which addresses have failed lately."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="password")
        self._queues: OrderedDict[tuple[str, str], list[_Check]] = OrderedDict()
        self._failures: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._working: asyncio.Task[None] | None = None
        self._random = random.Random()

    def close(self) -> None:
        """Check nothing any more."""
        if self._working is not None:
            self._working.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def is_right(self, address: str, user: str, failures: int, password: bytes, hashed: bytes) -> bool:
        """Whether a password has this hash.

        Args:
            address: Who asks.
            user: As whom; "" for every name that is not there.
            failures: Wrong passwords of the same connection before.
            password: At most 72 bytes.
            hashed: Of bcrypt.

        Raises:
            DisplacedError: Others came, and this one was not checked.
        """
        check = _Check(password, hashed, failures)
        queue = self._queues.setdefault((network_of(address), user), [])
        queue.append(check)
        if len(queue) > PER_TURN:
            self._displace(queue)
        elif sum(map(len, self._queues.values())) > WAITING:
            self._displace(max(self._queues.values(), key=len))
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())
        return await check.right

    def failed(self, address: str) -> float:
        """Count a failure of an address; how many seconds after it was asked the answer may be given."""
        key, now = network_of(address), asyncio.get_running_loop().time()
        level, at = self._failures.pop(key, (0.0, now))
        level = max(0.0, level - (now - at) / _FORGIVEN_S) + 1
        self._failures[key] = min(level, 2 * _LONGEST_S / _STEP_S), now
        while len(self._failures) > _ADDRESSES:
            self._failures.popitem(last=False)
        return min(_LONGEST_S, level * _STEP_S)

    def _displace(self, queue: list[_Check]) -> None:
        """Take one out: of those whose connection has failed most often, any."""
        most = max(check.failures for check in queue)
        going = self._random.choice([check for check in queue if check.failures == most])
        queue.remove(going)
        if not going.right.done():
            going.right.set_exception(DisplacedError)

    async def _work(self) -> None:
        """Check what waits, one of each address and user in turn."""
        loop = asyncio.get_running_loop()
        while self._queues:
            key, queue = self._queues.popitem(last=False)
            check = queue.pop(0) if queue else None
            if queue:
                self._queues[key] = queue
            if check is None or check.right.done():
                continue
            right = await loop.run_in_executor(self._thread, bcrypt.checkpw, check.password, check.hashed)
            if not check.right.done():
                check.right.set_result(right)


def network_of(address: str) -> str:
    """An IPv4 address, or the /64 of an IPv6 one, of which one machine has all; other text as it is."""
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return address if known.version == 4 else str(ipaddress.ip_network((known, 64), strict=False))
