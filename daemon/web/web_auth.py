"""Basic authentication of the HTTP server: passwords against bcrypt hashes, without holding up anybody else."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import secrets
from collections import OrderedDict

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from daemon.web.connections import HttpConnection
from daemon.web.crowd import Rank
from daemon.web.password_checks import DisplacedError, PasswordChecks
from daemon.web.web_config import WebConfig

_RIGHT = 100  # right passwords kept, so that a scraper's is not hashed at each scrape
_WRONG = 1000  # wrong ones kept, so that the same guess is not hashed again
_BCRYPT_BYTES = 72  # bcrypt looks at no more


class Access:
    """Who may use the HTTP server; every attribute may be replaced while it serves.

    Attributes:
        config: Its users are asked for a password.
        metrics_open: Whether `/metrics` is for everybody.
        hosts: Names in lower case by which the server may be called, beside IP addresses and `localhost`.
    """

    def __init__(self, config: WebConfig | None = None, metrics_open: bool = False) -> None:
        self.config, self.metrics_open = config or WebConfig(), metrics_open
        self.hosts: frozenset[str] = frozenset()
        self._right_ones: OrderedDict[bytes, None] = OrderedDict()
        self._wrong_ones: OrderedDict[bytes, None] = OrderedDict()
        self._salt = secrets.token_bytes(32)
        self._checks = PasswordChecks()

    def middleware(self) -> Middleware:
        """Asks for the password before anything else is answered."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            open_to_all = not self.config.users or (self.metrics_open and request.path == "/metrics")
            if not open_to_all and (refusal := await self._refusal(request)) is not None:
                return refusal
            if isinstance(connection := request.protocol, HttpConnection):
                if self.config.users and open_to_all:
                    connection.rank = Rank.ANSWERED  # and a stranger still
                else:
                    connection.let_in()
            return await handler(request)

        return guard

    async def close(self, _: web.Application) -> None:
        """Check no password any more."""
        self._checks.close()

    async def _refusal(self, request: web.Request) -> web.Response | None:
        """What is answered instead, None to whoever has the right password. Who sent a wrong one waits for it."""
        challenge = {"WWW-Authenticate": 'Basic realm="tidegauge", charset="UTF-8"'}
        refusal = web.Response(status=401, text="401 a user and a password are needed\n", headers=challenge)
        header = request.headers.get("Authorization")
        if header is None:
            return refusal
        address, began = request.remote or "", asyncio.get_running_loop().time()
        connection = request.protocol if isinstance(request.protocol, HttpConnection) else None
        if connection is not None:
            connection.rank = Rank.CHECKED
        try:
            if await self._right(address, 0 if connection is None else connection.failures, *_credentials(header)):
                return None
        except DisplacedError:
            text = "503 too many passwords are being checked; try again\n"
            refusal = web.Response(status=503, text=text, headers={"Retry-After": "10"})
        due = began + self._checks.failed(address)
        if connection is not None:
            connection.failures += 1
            connection.rank = Rank.HELD
            await asyncio.wait([connection.gone], timeout=max(0.0, due - asyncio.get_running_loop().time()))
        return refusal

    async def _right(self, address: str, failures: int, user: str, password: bytes) -> bool:
        """Whether user and password are right. Raises DisplacedError."""
        if not user or b"\0" in password or len(password) > _BCRYPT_BYTES:
            return False
        users = self.config.users
        hashed = users.get(user) or next(iter(users.values()))  # a name that is not there takes as long as one that is
        key = hashlib.blake2b(b"\0".join([user.encode(), hashed, password]), key=self._salt).digest()
        for answer, known in ((True, self._right_ones), (False, self._wrong_ones)):
            if key in known:
                known.move_to_end(key)
                return answer and user in users
        known_user = user if user in users else ""
        right = await self._checks.is_right(address, known_user, failures, password, hashed) and user in users
        _remember(key, *((self._right_ones, _RIGHT) if right else (self._wrong_ones, _WRONG)))
        return right


def _remember(key: bytes, known: OrderedDict[bytes, None], most: int) -> None:
    known[key] = None
    while len(known) > most:
        known.popitem(last=False)


def _credentials(header: str) -> tuple[str, bytes]:
    """User and password of an Authorization header; no user when it has none."""
    kind, _, text = header.partition(" ")
    if kind.lower() != "basic":
        return "", b""
    try:
        user, _, password = base64.b64decode(text.strip(), validate=True).partition(b":")
        return user.decode(), password
    except (binascii.Error, ValueError):
        return "", b""
