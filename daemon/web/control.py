"""The control socket: questions and commands to a running daemon from whoever may enter its state directory (0700)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from daemon.runtime.exclusion import WantedExclusion
from daemon.runtime.label_evidence import UnwantedLabel, WantedLabel
from daemon.runtime.maintenance_windows import UnwantedWindow, WantedWindow
from daemon.web.answers import json_response
from daemon.web.control_client import SOCKET, reachable
from daemon.web.operator_port import OperatorPort

log = logging.getLogger(__name__)

T = TypeVar("T")

Status = Callable[[], dict[str, Any]]
"""What `/api/v1/status` answers."""

_BODY_BYTES = 16_384
_QUEUE = 8


class Control:
    """The socket and what it takes.

    Args:
        operator: Does what is asked for.
        status: Says how the daemon is doing.
    """

    def __init__(self, operator: OperatorPort, status: Status) -> None:
        self._serve, self._status = operator.serve, status
        app = web.Application(client_max_size=_BODY_BYTES)
        app.router.add_post("/models/serve", self._models_serve)
        labels, excluded = "tidegauge label list", "tidegauge exclude --list"
        windows = "tidegauge maintenance list"
        for path, kind, work, shown_by, said in (
            ("/label", WantedLabel, operator.label, labels, "label given by command"),
            ("/label/undo", UnwantedLabel, operator.take_back, labels, "label taken back by command"),
            ("/maintenance/add", WantedWindow, operator.add_window, windows, "maintenance window added by command"),
            ("/maintenance/end", UnwantedWindow, operator.end_window, windows, "maintenance window ended by command"),
            ("/exclude", WantedExclusion, operator.exclude, excluded, "period excluded by command"),
        ):
            app.router.add_post(path, partial(_command, kind, work, shown_by, said))
        app.router.add_get("/status", self._say_status)
        self._runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=2.0)
        self._path: Path | None = None

    async def open(self, directory: Path) -> None:
        """Listen in a state directory whose lock this process holds, so that a socket that is there is a dead one's.

        Raises:
            OSError: The socket cannot be made.
        """
        path = directory / SOCKET
        path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX)
        try:
            with reachable(directory) as short:
                listening.bind(short)
            os.chmod(path, 0o600)  # noqa: PTH101 - one system call
            await self._runner.setup()
            await web.SockSite(self._runner, listening, backlog=_QUEUE).start()
        except BaseException:
            listening.close()
            raise
        self._path = path

    async def close(self) -> None:
        """Take no command any more."""
        await self._runner.cleanup()
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    async def _say_status(self, _: web.Request) -> web.Response:
        return json_response(await asyncio.to_thread(self._status))

    async def _models_serve(self, request: web.Request) -> web.Response:
        stream, version = _wanted(await request.text())
        try:
            record = await self._serve(stream, version)
        except ValueError as error:
            return _answer(409, error=str(error))
        if record is None:
            return _busy("tidegauge models list")
        log.info("model put into service by command", extra={"stream": stream, "version": record.version})
        return _answer(200, stream=stream, version=record.version, digest=record.digest)


async def _command(kind: type[Any], work: Any, shown_by: str, said: str, request: web.Request) -> web.Response:
    """Have what a request wants done; `shown_by` is the command that shows it later, `said` what the log says."""
    wanted = _parsed(kind, await request.text())
    try:
        found = await work(wanted)
    except ValueError as error:
        return _answer(409, error=str(error))
    if found is None:
        return _busy(shown_by)
    log.info(said, extra=found)
    return _answer(200, **found)


def _busy(shown_by: str) -> web.Response:
    return _answer(202, error=f"the daemon is busy and does it next; {shown_by} shows it when done")


def _parsed(kind: type[T], body: str) -> T:
    """What a request wants."""
    try:
        return TypeAdapter(kind).validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        where = ".".join(map(str, found["loc"]))
        raise web.HTTPBadRequest(text=f"{where}: {found['msg']}") from None


def _wanted(body: str) -> tuple[str, int | None]:
    """Stream and version of a request."""
    try:
        given = json.loads(body)
        stream, version = given["stream"], given.get("version")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise web.HTTPBadRequest(text='the body is {"stream": NAME, "version": NUMBER or null}') from None
    if not isinstance(stream, str) or not (version is None or type(version) is int):
        raise web.HTTPBadRequest(text="stream is a name, version a number or null")
    return stream, version


def _answer(status: int, **content: Any) -> web.Response:
    return json_response(content, status)
