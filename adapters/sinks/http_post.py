"""One POST with a deadline for all of it, for sinks whose other side is an HTTP server."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import NamedTuple

import aiohttp

from adapters.client_tls import client_context

_SAID_BYTES = 300


class Answer(NamedTuple):
    """What a server said."""

    status: int
    said: str
    """The first of its body, on one line."""


class HttpPost:
    """Posts bodies to one address; nothing is kept open between two of them.

    A name is looked up, a connection made and the answer read anew each time, so that a server that moved or restarted
    is found. Redirections are not followed, for they would turn a POST into a GET.

    Args:
        url: The address.
        headers: Sent with every body.
        timeout_s: From the look-up of the name to the end of the answer.
        ca: File with authorities (PEM) of the server's certificate; None: those of the system.

    Raises:
        OSError: The file cannot be read, or holds no certificate.
    """

    def __init__(self, url: str, headers: Mapping[str, str], timeout_s: float, ca: str | None = None) -> None:
        self._url, self._headers, self._timeout_s = url, dict(headers), timeout_s
        self._tls: ssl.SSLContext | bool = True if ca is None else client_context(ca)

    def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post a body; any status is an answer.

        Raises:
            OSError: There was none in time.
        """
        try:
            return asyncio.run(self._post(body, headers))
        except TimeoutError:
            raise OSError(f"no answer within {self._timeout_s:g} s") from None
        except aiohttp.ClientError as error:
            raise OSError(f"{type(error).__name__}: {error}".replace(self._url, "its URL")) from None

    async def _post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        timeout = aiohttp.ClientTimeout(total=self._timeout_s)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(
                self._url, data=body, headers={**self._headers, **headers}, ssl=self._tls, allow_redirects=False
            ) as answer,
        ):
            said = await answer.content.read(_SAID_BYTES)
            return Answer(answer.status, " ".join(said.decode(errors="replace").split()))


def headers_of(lines: list[str]) -> dict[str, str]:
    """Headers written as `Name: value`."""
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}
