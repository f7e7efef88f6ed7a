"""What is posted to the HTTP server for sources: read within bounds, and answered when it is durable."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web

from adapters.uploads.inbox import WAITING_BYTES, ClosedError, FullError, Inbox, Inboxes, Receipt
from adapters.uploads.protocol import PATHS, V1, V2, RequestError, TooLargeError
from daemon.web.answers import json_response

if TYPE_CHECKING:  # what reads protobuf is imported where a stream has such a source
    from adapters.uploads.remote_write import RemoteWrite, Written

DURABLE_S = 20.0
"""How long a sender waits for its body to be durable before it is told to send it again."""
RETRY_S = 2
"""What a sender is told to wait before it sends again."""
_PIECE_BYTES = 1 << 16
_KEY_BYTES = 200

OffLoop = Callable[[Callable[[], Any]], Any]
"""Awaits a function's result, which another thread works out."""


class RefusalError(Exception):
    """A body that is not taken, and the status that says so."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status

    def response(self) -> web.Response:
        """The answer: one line of JSON, and when to try again where that helps."""
        headers = {"Retry-After": str(RETRY_S)} if self.status in (429, 503) else {}
        answer = json_response({"error": str(self)}, status=self.status)
        answer.headers.update(headers)
        return answer


class Uploads:
    """Handlers of what is posted.

    Args:
        inboxes: The sources that take it.
        unready: Why the daemon is not ready, None when it is.
        off_loop: Runs what takes long.
    """

    def __init__(self, inboxes: Inboxes, unready: Callable[[], str | None], off_loop: OffLoop) -> None:
        self._inboxes, self._unready, self._off_loop = inboxes, unready, off_loop
        self._arriving = 0  # bytes of bodies that are being read

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_post(PATHS["http"], self.readings)
        app.router.add_post(PATHS["prometheus"], self.write)

    async def readings(self, request: web.Request) -> web.Response:
        """`POST /api/v1/readings?stream=NAME[&series=NAME]`: lines in the stream's format, plain or gzip."""
        try:
            _known(request, {"stream", "series"})
            inbox = self._inbox(request, "http")
            coding = _coding(request, ("identity", "gzip"))
            key = request.headers.get("Idempotency-Key", "").encode("utf-8", "surrogateescape")
            if len(key) > _KEY_BYTES:
                raise RefusalError(400, f"Idempotency-Key is longer than {_KEY_BYTES} bytes")
            async with self._body(request, inbox.body_bytes, 429) as body:
                lines = body
                if coding == "gzip":
                    lines = await self._off_loop(partial(unzipped, body, inbox.body_bytes))
                receipt = await self._durable(inbox, lines, request.query.get("series", "http"), key or None, 429)
        except RefusalError as refusal:
            return refusal.response()
        return json_response(
            {"readings": receipt.readings, "rejected": dict(receipt.rejected), "repeated": receipt.repeated}
        )

    async def write(self, request: web.Request) -> web.Response:
        """`POST /api/v1/write?stream=NAME`: Prometheus' remote write, 1.0 and 2.0.

        A sender drops what is answered with 4xx, 429 included unless it is told otherwise, and repeats what is answered
        with 5xx: so whatever may go better later is 503.
        """
        try:
            _known(request, {"stream"})
            inbox = cast("RemoteWrite", self._inbox(request, "prometheus"))
            message = _message(request.headers.get("Content-Type", ""))
            _coding(request, ("snappy",))
            async with self._body(request, inbox.body_bytes, 503) as body:
                written = await self._off_loop(partial(_written, inbox, body, message))
                await self._durable(inbox, written.lines, "prometheus", None, 503)
        except RefusalError as refusal:
            return refusal.response()
        counts = {"Samples": written.samples, "Histograms": 0, "Exemplars": 0}
        return web.Response(
            status=204, headers={f"X-Prometheus-Remote-Write-{name}-Written": str(n) for name, n in counts.items()}
        )

    def _inbox(self, request: web.Request, kind: str) -> Inbox:
        """The source that a request is for; the only one where it names no stream."""
        if (why := self._unready()) is not None:  # a source that is not open yet must not seem to be none
            raise RefusalError(503, f"{why}; send it again later")
        streams, stream = self._inboxes.streams(kind), request.query.get("stream")
        if stream is None and len(streams) != 1:
            raise RefusalError(
                400 if streams else 404,
                f"name one of the streams {', '.join(streams)} as ?stream=NAME"
                if streams
                else f"no stream has a source of type {kind}",
            )
        inbox = self._inboxes.find(kind, streams[0] if stream is None else stream)
        if inbox is None:
            raise RefusalError(404, f"stream {(stream or '')[:64]!r} has no source of type {kind}")
        return inbox

    @asynccontextmanager
    async def _body(self, request: web.Request, limit: int, busy: int) -> AsyncIterator[bytes]:
        """A request's body; its bytes count as arriving until the block ends."""
        if (request.content_length or 0) > limit:
            raise RefusalError(413, f"a body may have {limit} bytes")
        taken = 0
        pieces: list[bytes] = []
        try:
            async for piece in request.content.iter_chunked(_PIECE_BYTES):
                if taken + len(piece) > limit:
                    raise RefusalError(413, f"a body may have {limit} bytes")
                if self._arriving + len(piece) > WAITING_BYTES:
                    raise RefusalError(busy, "too many bodies arrive at once; send it again later")
                taken += len(piece)
                self._arriving += len(piece)
                pieces.append(piece)
            yield b"".join(pieces)
        finally:
            self._arriving -= taken

    async def _durable(self, inbox: Inbox, body: bytes, series: str, key: bytes | None, busy: int) -> Receipt:
        """Hand a body on and wait until all of it is durable."""
        try:
            told = await self._off_loop(partial(inbox.offer, body, series, key))
            return await asyncio.wait_for(asyncio.wrap_future(told), DURABLE_S)
        except FullError as error:
            raise RefusalError(busy, f"{error}; send it again later") from None
        except ClosedError as error:
            raise RefusalError(503, f"{error}; send it again") from None
        except TimeoutError:
            raise RefusalError(503, f"not durable after {DURABLE_S:g} s; send it again, it will count once") from None


def _message(content_type: str) -> str:
    """The message that a request's type names; 1.0 where it names none."""
    kind, _, parameters = content_type.partition(";")
    names = dict(part.strip().partition("=")[::2] for part in parameters.split(";") if part.strip())
    message = names.get("proto", V1)
    if kind.strip().lower() != "application/x-protobuf" or message not in (V1, V2):
        raise RefusalError(
            415, f"Content-Type is {content_type[:80]!r}; send application/x-protobuf;proto={V2} or {V1}"
        )
    return message


def _written(inbox: RemoteWrite, body: bytes, message: str) -> Written:
    try:
        return inbox.written(body, message)
    except RequestError as error:
        raise RefusalError(400, str(error)) from None
    except TooLargeError as error:
        raise RefusalError(413, str(error)) from None


def unzipped(body: bytes, limit: int) -> bytes:
    """What a gzip body holds, all its members; raises RefusalError where it is none or holds more than the limit."""
    parts: list[bytes] = []
    room = limit
    try:
        while body:
            packed = zlib.decompressobj(wbits=31)
            parts.append(packed.decompress(body, room + 1))
            room -= len(parts[-1])
            if room < 0:
                raise RefusalError(413, f"a body may unpack to {limit} bytes")
            if not packed.eof:
                raise RefusalError(400, "the body is not whole gzip")
            body = packed.unused_data
    except zlib.error as error:
        raise RefusalError(400, f"the body is not gzip: {error}") from None
    return b"".join(parts)


def _coding(request: web.Request, taken: tuple[str, ...]) -> str:
    coding = request.headers.get("Content-Encoding", taken[0]).strip().lower()
    if coding not in taken:
        raise RefusalError(415, f"Content-Encoding is {coding[:40]!r}; send {' or '.join(taken)}")
    return coding


def _known(request: web.Request, names: set[str]) -> None:
    if odd := sorted(set(request.query) - names):
        raise RefusalError(400, f"there is no parameter {odd[0][:40]!r}; known are {', '.join(sorted(names))}")
