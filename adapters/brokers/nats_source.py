"""NATS JetStream as a source: a durable pull consumer, acknowledged when the readings are durable."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import nats
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, RetentionPolicy
from nats.js.errors import NotFoundError

from adapters.base import Position
from adapters.brokers.subscription import Subscription
from adapters.client_tls import client_context
from adapters.name_template import template
from adapters.source_kind import Surroundings

_CONNECT_S = 10
_LOOK_S = 1.0
"""How long one request for messages waits."""
_ACK_WAIT_S = 10.0
"""After so long a message that was not acknowledged is delivered again; which costs little, for it is known."""
_PENDING_TIMES = 4
"""How many times `in_flight` messages the consumer may have delivered, those of an earlier connection included."""


class NatsSource(Subscription):
    """Messages of one subject of a JetStream stream, in the stream's order.

    A position is `{"offset": sequence, ...}`: the stream's number of the last message that is durable. What a consumer
    delivers again is known by it, so each message counts exactly once. What an earlier connection was given and did not
    make durable is read from the stream itself, for the consumer would deliver it after newer messages.

    A place is one stream in one life of it: one that was made anew counts from 1 on again.

    Args:
        url: `nats://host:port`, or `tls://host:port`.
        subject: What is read, such as `meters.>`; a stream must have it.
        consumer: Name of the durable consumer, made where there is none.
        series: Template of a series' name over `subject`, `token1`, `token2`, ...; None: the subject.
        user, password: None where it asks for none.
        ca: File with authorities (PEM) of its certificate; None: those of the system.
        certificate, key: Files (PEM) with the client's own; None: it shows none.
        given: What a `Subscription` takes.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        subject: str,
        consumer: str,
        series: str | None = None,
        user: str | None = None,
        password: str | None = None,
        ca: str | None = None,
        certificate: str | None = None,
        key: str | None = None,
        **given: Any,
    ) -> None:
        super().__init__(name, url, **given)
        self._subject, self._consumer = subject, consumer
        self._user, self._password = user, password
        self._files = ca, certificate, key
        self._series = (lambda labels: labels["subject"]) if series is None else template(series)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken: asyncio.Event | None = None
        self._roomy: asyncio.Event
        self._saved: Mapping[str, Position] = {}
        self._workqueue, self._newest = False, 0
        self._waiting: dict[int, Any] = {}  # messages that are acknowledged when they are durable, by their number

    # The pipeline's thread

    def _begin(self, positions: Mapping[str, Position]) -> None:
        self._saved = dict(positions)

    def _interrupt(self) -> None:
        loop, woken = self._loop, self._woken
        if loop is not None and woken is not None:
            with contextlib.suppress(RuntimeError):  # it has just ended
                loop.call_soon_threadsafe(woken.set)

    # Its own thread

    def _serve(self) -> None:
        asyncio.run(self._talk())

    async def _talk(self) -> None:
        self._loop, self._woken, self._roomy = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        ended: asyncio.Future[None] = self._loop.create_future()
        said: list[str] = []

        async def lost() -> None:
            if not ended.done():
                ended.set_result(None)

        async def failed(error: Exception) -> None:
            said.append(str(error) or type(error).__name__)

        try:
            link = await nats.connect(
                self._address,
                user=self._user,
                password=self._password,
                tls=self._context(),
                allow_reconnect=False,
                max_reconnect_attempts=1,  # which counts attempts of the first connection, too; without end by default
                reconnect_time_wait=0.1,
                connect_timeout=_CONNECT_S,
                ping_interval=20,
                max_outstanding_pings=2,
                closed_cb=lost,
                disconnected_cb=lost,
                error_cb=failed,
            )
        except (NatsError, TimeoutError) as error:
            raise OSError(f"{self._address} cannot be had: {said[-1] if said else error}") from None
        try:
            await self._read(link, ended)
        except NatsError as error:
            raise OSError(f"{self._address}: {error}") from None
        finally:
            self._loop = None
            with contextlib.suppress(Exception):
                await link.close()
        if not self._ending.is_set():
            raise OSError(f"the connection to {self._address} is lost" + f": {said[-1]}" * bool(said))

    def _context(self) -> ssl.SSLContext | None:
        ca, certificate, key = self._files
        if urlsplit(self._address).scheme != "tls":
            return None
        return client_context(ca, certificate, key)

    async def _read(self, link: Any, ended: asyncio.Future[None]) -> None:
        """Take and acknowledge messages until the connection or the source ends."""
        stream = link.jetstream()
        name = await self._stream_of(stream)
        consumer = await self._consumer_of(stream, name)
        subscription = await stream.pull_subscribe_bind(self._consumer, name)
        tasks: set[asyncio.Future[None]] = {
            asyncio.ensure_future(self._consume(stream, name, consumer, subscription)),
            asyncio.ensure_future(self._acknowledge(link)),
        }
        done, left = await asyncio.wait({*tasks, ended}, return_when=asyncio.FIRST_COMPLETED)
        for task in left & tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def _stream_of(self, stream: Any) -> str:
        """The name of the stream; what is durable of it is known from here on."""
        try:
            name = str(await stream.find_stream_name_by_subject(self._subject))
        except NotFoundError:
            raise OSError(f"no stream of {self._address} has the subject {self._subject}; add one that has") from None
        info = await stream.stream_info(name)
        self._workqueue = info.config.retention == RetentionPolicy.WORK_QUEUE
        self._place = f"{self.name}:{name}@{info.created.isoformat()}"
        self._forgotten.extend(place for place in self._saved if place != self._place)
        self._position = self._saved.get(self._place, self._position)
        self._newest = min(self._position["offset"], info.state.last_seq)
        if self._newest < self._position["offset"]:
            self._say("the broker's stream ends before what is durable of it; all that comes now is taken", stream=name)
        return name

    async def _consumer_of(self, stream: Any, name: str) -> Any:
        """What is known of the consumer, made where there is none."""
        try:
            info = await stream.consumer_info(name, self._consumer)
        except NotFoundError:
            begins: dict[str, Any] = {} if self._workqueue or not self._newest else {"opt_start_seq": self._newest + 1}
            made = ConsumerConfig(
                durable_name=self._consumer,
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=_ACK_WAIT_S,
                max_ack_pending=_PENDING_TIMES * self._in_flight,
                filter_subject=self._subject,
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE if begins else DeliverPolicy.ALL,
                **begins,
            )
            info = await stream.add_consumer(name, made)
        if info.config.ack_policy != AckPolicy.EXPLICIT or info.config.filter_subject != self._subject:
            raise OSError(
                f"the consumer {self._consumer} of {self._address} is for {info.config.filter_subject}, acknowledged "
                f"{info.config.ack_policy}; name another, or let it be made for {self._subject}"
            )
        return info

    async def _consume(self, stream: Any, name: str, consumer: Any, subscription: Any) -> None:
        """What earlier connections were given and did not make durable, then what is delivered."""
        known = bool(self._newest)
        sequence = self._newest if known else consumer.ack_floor.stream_seq
        last = consumer.delivered.stream_seq
        while sequence < last:
            await self._room_made()
            try:
                found = await stream.get_msg(name, seq=sequence + 1, subject=self._subject, next=True)
            except NotFoundError:
                break
            sequence = found.seq
            if sequence <= last:
                self._give(found.subject, found.data or b"", sequence, None)
        self._newest = max(self._newest, last)
        self._connected = True
        delivered = consumer.delivered.consumer_seq
        while True:
            await self._room_made()
            try:
                messages = await subscription.fetch(max(1, self._in_flight - len(self._waiting)), timeout=_LOOK_S)
            except TimeoutError:  # the client raises its own, and Python's where it had no time left to ask again
                continue
            for each in messages:
                numbers = each.metadata.sequence
                if numbers.consumer != delivered + 1:
                    raise OSError(f"messages of the consumer {self._consumer} went elsewhere; nobody else may use it")
                delivered += 1
                await self._delivered(each, numbers.stream)

    async def _delivered(self, message: Any, sequence: int) -> None:
        if sequence > self._newest:
            self._newest = sequence
            self._give(message.subject, message.data, sequence, message)
            return
        self._counts["repeated"] += 1
        if sequence in self._waiting:
            self._waiting[sequence] = message
        else:
            await message.ack()

    def _give(self, subject: str, data: bytes, sequence: int, message: Any) -> None:
        """Have a message given; it is acknowledged by what was delivered last of it."""
        self._newest = max(self._newest, sequence)
        self._waiting[sequence] = message
        labels = {"subject": subject} | {f"token{n}": token for n, token in enumerate(subject.split("."), 1)}
        self._receive(data, self._series(labels), sequence, sequence)

    async def _room_made(self) -> None:
        """Wait until more may wait to be durable."""
        while len(self._waiting) >= self._in_flight or self._full:
            self._roomy.clear()
            await self._roomy.wait()

    async def _acknowledge(self, link: Any) -> None:
        """Acknowledge what is durable until the source ends."""
        assert self._woken is not None
        while True:
            ending = self._ending.is_set()
            for each in self._acknowledgeable():
                message = self._waiting.pop(each.handle)
                if message is not None:
                    await message.ack()
            self._roomy.set()
            if ending:
                await link.flush()
                return
            await self._woken.wait()
            self._woken.clear()


def made(name: str, settings: Any, surroundings: Surroundings) -> NatsSource:
    """As an entry of `sources` has it."""
    return NatsSource(
        name,
        settings.url,
        subject=settings.subject,
        consumer=settings.consumer,
        series=settings.series,
        user=settings.user,
        password=settings.password.get_secret_value() if settings.password else None,
        ca=settings.ca,
        certificate=settings.tls.certificate,
        key=settings.tls.key,
        line_bytes=surroundings.line_bytes,
        in_flight=settings.in_flight,
        wake=surroundings.inboxes.wake,
        notice=surroundings.notice,
    )
