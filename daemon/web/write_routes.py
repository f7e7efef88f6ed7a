"""What may be written by API and page, by the commands that the control socket takes: labels, maintenance, models.

Whoever writes has the token that `http.token_file` holds, beside the password where there are users; without such a
file nothing is written. A page of another site has neither, and `daemon.web.guard` refuses it before anything is read.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from daemon.runtime.label_evidence import YEAR_10000, UnwantedLabel, WantedLabel
from daemon.runtime.maintenance_windows import UnwantedWindow, WantedWindow
from daemon.web.answers import json_response
from daemon.web.api_document import PREFIX, WRITING
from daemon.web.frame_values import filled
from daemon.web.operator_port import OperatorPort, WantedWhatIf
from daemon.web.page_assets import PAGE_HEADERS

log = logging.getLogger(__name__)

Work = Callable[[Any], Awaitable[Mapping[str, Any]]]

HEADER = "X-Tidegauge-Token"
FORMS = (
    ("/label", "give_label"),
    ("/unlabel", "take_back_label"),
    ("/serve", "serve_model"),
    ("/maintenance", "add_window"),
    ("/maintenance/end", "end_window"),
    ("/what-if", "ask_what_if"),
)
"""Where forms of the page are sent, and the operation of the API that does the same."""
LEAST_LETTERS = 16
"""Of a token: a shorter one could be guessed."""


@dataclass(frozen=True, slots=True)
class Commands:
    """What operators may have done over HTTP.

    Attributes:
        operator: Does it.
        token_file: Where the token is; None where nothing may be written.
    """

    operator: OperatorPort
    token_file: Callable[[], Path | None]

    def what_if(self) -> dict[str, Any]:
        """The newest what-if."""
        return self.operator.what_if_so_far()

    def is_open(self) -> bool:
        """Whether anything may be written."""
        return self.token_file() is not None


class LabelBody(BaseModel):
    """What is posted to label a period."""

    model_config = ConfigDict(extra="forbid")

    stream: str = Field(max_length=64)
    series: str = Field(max_length=256)
    kind: Literal["fault", "normal"]
    since: int = Field(ge=0, lt=YEAR_10000)
    until: int | None = Field(None, ge=0, lt=YEAR_10000)
    note: str = Field("", max_length=500)


class UnlabelBody(BaseModel):
    """What is posted to take back the label of a series that begins at `since`."""

    model_config = ConfigDict(extra="forbid")

    stream: str = Field(max_length=64)
    series: str = Field(max_length=256)
    since: int = Field(ge=0, lt=YEAR_10000)
    note: str = Field("", max_length=500)


class WindowBody(BaseModel):
    """What is posted to add a maintenance window; what of it makes sense, the daemon says."""

    model_config = ConfigDict(extra="forbid")

    stream: str | None = Field(None, max_length=64)
    series: str = Field("*", min_length=1, max_length=256)
    start: str | None = Field(None, max_length=64)
    end: str | None = Field(None, max_length=64)
    weekly: str | None = Field(None, max_length=64)
    duration: str | None = Field(None, max_length=64)
    timezone: str | None = Field(None, max_length=64)
    learn: bool = True
    note: str = Field("", max_length=500)


class WhatIfBody(BaseModel):
    """What is posted to ask what would have been."""

    model_config = ConfigDict(extra="forbid")

    stream: str = Field(max_length=64)
    false_alarms_per_month: float | None = Field(None, gt=0, le=1000, allow_inf_nan=False)
    alarms_per_day: int | None = Field(None, ge=1, le=1_000_000)
    days: int | None = Field(None, ge=1, le=3660)


class EndBody(BaseModel):
    """What is posted to end one."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(min_length=1, max_length=8)


class ServeBody(BaseModel):
    """What is posted to put a version into service; without one, the promoted one before."""

    model_config = ConfigDict(extra="forbid")

    stream: str = Field(max_length=64)
    version: int | None = Field(None, ge=1, le=1 << 31)


class WriteRefusedError(Exception):
    """What is not done, with the status that says so."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Writes:
    """Handlers of what is written.

    Args:
        commands: Do it.
        off_loop: Has another thread work something out.
    """

    def __init__(self, commands: Commands, off_loop: Callable[[Callable[[], Any]], Awaitable[Any]]) -> None:
        self._commands, self._off_loop = commands, off_loop

    def add_to(self, app: web.Application) -> None:
        """Add the routes: of the API, from its table, and of the forms."""
        works: dict[str, tuple[type[BaseModel], Work]] = {
            "give_label": (LabelBody, self._label),
            "take_back_label": (UnlabelBody, self._unlabel),
            "serve_model": (ServeBody, self._serve),
            "add_window": (WindowBody, self._add_window),
            "end_window": (EndBody, self._end_window),
            "ask_what_if": (WhatIfBody, self._ask_what_if),
        }
        for operation in WRITING:
            app.router.add_post(PREFIX + operation.path, partial(self._by_json, *works[operation.name]))
        for path, name in FORMS:
            app.router.add_post(path, partial(self._by_form, *works[name]))

    async def _by_json(self, body: type[BaseModel], work: Work, request: web.Request) -> web.Response:
        try:
            await self._check(request.headers.get(HEADER, ""))
            if request.content_type != "application/json":
                raise WriteRefusedError(415, "the body is JSON: send Content-Type: application/json")
            found = await work(_parsed(body, await request.read()))
        except WriteRefusedError as error:
            return json_response({"error": str(error)}, status=error.status)
        return json_response(found)

    async def _by_form(self, body: type[BaseModel], work: Work, request: web.Request) -> web.Response:
        given = await request.post()
        back = str(given.get("back", ""))
        values = {name: str(text) for name, text in given.items() if name not in ("token", "back") and text != ""}
        try:
            await self._check(str(given.get("token", "")))
            await work(_checked(body, values))
        except WriteRefusedError as error:
            text = filled("problem.html", title="Not done", text=str(error))
            return web.Response(text=text, status=error.status, content_type="text/html", headers=PAGE_HEADERS)
        page, _, query = back.partition("?")
        known = page in ("event", "series") and query.isascii() and query.isprintable()
        where = f"{page}?{query}" if known else page if page in ("maintenance", "what-if") else "models"
        where = "../" * (request.path.count("/") - 1) + where
        return web.Response(status=303, headers={"Location": where, **PAGE_HEADERS})

    async def _check(self, token: str) -> None:
        """Whether a token is the one. Raises WriteRefusedError."""
        path = self._commands.token_file()
        if path is None:
            raise WriteRefusedError(403, "nothing can be written here: http.token_file is not set")
        try:
            wanted = (await self._off_loop(path.read_bytes)).strip()
        except OSError as error:
            raise WriteRefusedError(403, f"http.token_file cannot be read: {error.strerror}") from None
        if len(wanted) < LEAST_LETTERS:
            raise WriteRefusedError(403, f"the token in http.token_file has less than {LEAST_LETTERS} letters")
        # digests are compared, so that neither the token's letters nor its length can be timed
        given = hashlib.sha256(token.strip().encode("utf-8", "surrogateescape")).digest()
        if not hmac.compare_digest(given, hashlib.sha256(wanted).digest()):
            raise WriteRefusedError(403, f"the token is not the one in http.token_file; send it as {HEADER}")

    async def _label(self, body: LabelBody) -> Mapping[str, Any]:
        wanted = WantedLabel(body.stream, body.series, body.kind, body.since, body.until, body.note)
        found: Mapping[str, Any] = await _done(self._commands.operator.label(wanted))
        log.info("label given over HTTP", extra=dict(found))
        return found

    async def _unlabel(self, body: UnlabelBody) -> Mapping[str, Any]:
        unwanted = UnwantedLabel(body.stream, body.series, body.since, note=body.note)
        found: Mapping[str, Any] = await _done(self._commands.operator.take_back(unwanted))
        log.info("label taken back over HTTP", extra=dict(found))
        return found

    async def _add_window(self, body: WindowBody) -> Mapping[str, Any]:
        found: Mapping[str, Any] = await _done(self._commands.operator.add_window(WantedWindow(**body.model_dump())))
        log.info("maintenance window added over HTTP", extra=dict(found))
        return found

    async def _end_window(self, body: EndBody) -> Mapping[str, Any]:
        found: Mapping[str, Any] = await _done(self._commands.operator.end_window(UnwantedWindow(body.id)))
        log.info("maintenance window ended over HTTP", extra=dict(found))
        return found

    async def _ask_what_if(self, body: WhatIfBody) -> Mapping[str, Any]:
        alerts = body.model_dump(include={"false_alarms_per_month", "alarms_per_day"}, exclude_none=True)
        if not alerts:
            raise WriteRefusedError(400, "give another false_alarms_per_month, or alarms_per_day")
        wanted = WantedWhatIf(body.stream, alerts, body.days)
        found: Mapping[str, Any] = await _done(self._commands.operator.what_if(wanted))
        log.info("what-if begun over HTTP", extra={"stream": body.stream, "alerts": alerts})
        return found

    async def _serve(self, body: ServeBody) -> Mapping[str, Any]:
        record = await _done(self._commands.operator.serve(body.stream, body.version))
        log.info("model put into service over HTTP", extra={"stream": body.stream, "version": record.version})
        return {"stream": body.stream, "version": record.version}


async def _done(work: Awaitable[Any]) -> Any:
    """What a command made. Raises WriteRefusedError where it was not done, or not yet."""
    try:
        found = await work
    except ValueError as error:
        raise WriteRefusedError(409, str(error)) from None
    if found is None:
        raise WriteRefusedError(503, "the daemon is busy and does it next; look again in a moment")
    return found


def _parsed(body: type[BaseModel], text: bytes) -> BaseModel:
    try:
        return body.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise _unreadable(error) from None


def _checked(body: type[BaseModel], values: Mapping[str, str]) -> BaseModel:
    try:
        return body.model_validate(values)
    except ValidationError as error:
        raise _unreadable(error) from None


def _unreadable(error: ValidationError) -> WriteRefusedError:
    found = error.errors(include_url=False)[0]
    where = ".".join(map(str, found["loc"]))
    return WriteRefusedError(400, f"{where or 'the body'}: {found['msg'][:200]}")
