"""Events as POSTs to any address: one each, in order, signed, in words of the operator's choice."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import SandboxedEnvironment

from adapters.sinks.contract import Opening, PartlyError
from adapters.sinks.http_post import Answer, HttpPost, headers_of

REFUSALS = frozenset({400, 413, 415, 422})
"""Statuses that speak of the body: it would be refused again. All others may be mended on the other side."""


class Webhook:
    """Posts each event, and goes on to the next when it was answered with 2xx.

    A status of `REFUSALS` leaves the event out and counts it. Any other answer, or none in time, is tried again: a
    server that is down, a wrong password or a wrong address loses nothing. `Idempotency-Key` is the event's id and
    revision, so a receiver can tell what came again after a crash.

    With a secret, `X-Tidegauge-Signature` is `t=SECONDS,v1=HEX`: HMAC-SHA256 over the seconds, a full stop, the body.

    Args:
        post: Where to.
        content_type: Of the body.
        body: Jinja2 template over the keys of an event, `at` and others as epoch seconds; `time` makes ISO 8601 of
            them. What comes out empty is not sent. None: the event as JSON.
        secret: Key of the signature; None: no signature.
        clock: Epoch seconds.

    Raises:
        OSError: The template cannot be read.
    """

    def __init__(
        self,
        post: HttpPost,
        *,
        content_type: str = "application/json",
        body: str | None = None,
        secret: bytes | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._post, self._content_type, self._secret, self._clock = post, content_type, secret, clock
        self._template = None
        if body is not None:
            try:
                self._template = _environment().from_string(body)
            except TemplateError as error:
                raise OSError(f"the body is no template: {error}") from None
        self._counts = {"refused": 0, "empty": 0}

    def deliver(self, lines: list[bytes]) -> None:
        """See `Sink.deliver`."""
        for done, line in enumerate(lines):
            try:
                self._deliver(line)
            except OSError as error:
                raise PartlyError(done, str(error)) from None

    def _deliver(self, line: bytes) -> None:
        event = orjson.loads(line)
        try:
            body = line if self._template is None else self._template.render(event).encode()
        except Exception as error:  # whatever a template does with an event that it does not expect
            raise OSError(f"the body cannot be made of event {event.get('id')}: {error}") from None
        if not body.strip():
            self._counts["empty"] += 1
            return
        answer = self._post.post(body, self._headers(event, body))
        if answer.status in REFUSALS:
            self._counts["refused"] += 1
        elif not 200 <= answer.status < 300:
            raise OSError(_said(answer))

    def _headers(self, event: Mapping[str, Any], body: bytes) -> dict[str, str]:
        key = f"{event.get('id')}-{event.get('revision')}"
        headers = {"Content-Type": self._content_type, "Idempotency-Key": key, "User-Agent": "tidegauge"}
        if self._secret is not None:
            at = str(int(self._clock()))
            digest = hmac.new(self._secret, f"{at}.".encode() + body, hashlib.sha256).hexdigest()
            headers["X-Tidegauge-Signature"] = f"t={at},v1={digest}"
        return headers

    def status(self) -> Mapping[str, float]:
        """Events refused, and those whose body came out empty."""
        return dict(self._counts)

    def close(self) -> None:
        """Nothing to release."""


def _environment() -> SandboxedEnvironment:
    made = SandboxedEnvironment(autoescape=False, undefined=StrictUndefined, keep_trailing_newline=False)
    made.filters["time"] = lambda at: datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
    made.filters["json"] = lambda value: orjson.dumps(value).decode()
    return made


def _said(answer: Answer) -> str:
    return f"answered {answer.status}" + (f": {answer.said}" if answer.said else "")


def made(settings: Any, opening: Opening) -> Webhook:
    """As an entry of `events.webhook` has it."""
    secret = None if settings.secret_file is None else Path(settings.secret_file).read_bytes().strip()
    return Webhook(
        HttpPost(settings.url, headers_of(settings.headers), settings.timeout, settings.ca),
        content_type=settings.content_type,
        body=settings.body,
        secret=secret,
    )
