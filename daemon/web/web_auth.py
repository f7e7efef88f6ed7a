"""Basic authentication of the HTTP server: passwords against bcrypt hashes, without holding up anybody else."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import secrets
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import bcrypt
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from daemon.web.web_config import WebConfig

_REMEMBERED = 100  # right passwords kept, so that a scraper's is not hashed at each scrape
_WAITING = 16  # passwords that may wait to be checked
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
        self._salt = secrets.token_bytes(32)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="password")
        self._waiting = 0

    def middleware(self) -> Middleware:
        """Asks for the password before anything else is answered."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            if not self.config.users or (self.metrics_open and request.path == "/metrics"):
                return await handler(request)
            user, password = _credentials(request.headers.get("Authorization", ""))
            if await self._right(user, password):
                return await handler(request)
            challenge = {"WWW-Authenticate": 'Basic realm="tidegauge", charset="UTF-8"'}
            return web.Response(status=401, text="401 a user and a password are needed\n", headers=challenge)

        return guard

    async def close(self, _: web.Application) -> None:
        """Check no password any more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _right(self, user: str, password: bytes) -> bool:
        if not user or b"\0" in password or len(password) > _BCRYPT_BYTES:
            return False
        users = self.config.users
        hashed = users.get(user) or next(iter(users.values()))  # a name that is not there takes as long as one that is
        key = hashlib.blake2b(b"\0".join([user.encode(), hashed, password]), key=self._salt).digest()
        if key in self._right_ones and user in users:
            self._right_ones.move_to_end(key)
            return True
        if not await self._checked(password, hashed) or user not in users:
            return False
        self._right_ones[key] = None
        while len(self._right_ones) > _REMEMBERED:
            self._right_ones.popitem(last=False)
        return True

    async def _checked(self, password: bytes, hashed: bytes) -> bool:
        if self._waiting >= _WAITING:
            raise web.HTTPServiceUnavailable(text="too many passwords are being checked; try again")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, bcrypt.checkpw, password, hashed)
        finally:
            self._waiting -= 1


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
