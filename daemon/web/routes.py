"""The HTTP server: metrics, health, readiness, reload, a small JSON API and the page."""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from adapters.uploads.inbox import Inboxes
from daemon.metrics.collector import Picture, make_registry
from daemon.metrics.exposition import expose
from daemon.runtime.logs import RateLimited
from daemon.store import EventFilter, StoreError
from daemon.web import page, summary
from daemon.web.answers import HEADERS
from daemon.web.api_handlers import Api
from daemon.web.connections import deadlines
from daemon.web.guard import guard
from daemon.web.page_assets import PAGE_HEADERS
from daemon.web.page_routes import Pages
from daemon.web.records import Records
from daemon.web.uploads import Uploads
from daemon.web.web_auth import Access
from daemon.web.write_routes import Commands, Writes

Healthy = Callable[[], bool]
Ready = Callable[[], tuple[bool, str]]
"""Whether it is, and if not why."""
Reload = Callable[[], Awaitable[bool]]
"""Whether it is done, or will be later. Raises ValueError with what is wrong with the new configuration."""

T = TypeVar("T")

_BODY_BYTES = 64 * 1024
_THREADS = 2


def make_app(
    picture: Callable[[], Picture],
    records: Records,
    *,
    healthy: Healthy,
    ready: Ready,
    reload: Reload,
    access: Access | None = None,
    inboxes: Inboxes | None = None,
    commands: Commands | None = None,
) -> web.Application:
    """The application.

    Args:
        picture: The newest picture; called from any thread.
        records: Of the state directory.
        healthy: Whether the daemon does its work.
        ready: Whether state is loaded and sources are open.
        reload: Takes over the configuration file again.
        access: Who is let in; everybody by default.
        inboxes: Sources that take what is posted; none by default.
        commands: What may be written; nothing by default.
    """
    access = access or Access()
    app = web.Application(
        client_max_size=_BODY_BYTES, middlewares=[_finish, deadlines, guard(access), access.middleware()]
    )
    pages = _Server(picture, records, healthy, ready, reload)
    app.router.add_get("/", pages.index)
    app.router.add_get("/metrics", pages.metrics)
    app.router.add_get("/-/healthy", pages.healthy)
    app.router.add_get("/-/ready", pages.ready)
    app.router.add_post("/-/reload", pages.reload)
    so_far = commands.what_if if commands is not None else dict
    Api(picture, records, pages.unready, pages.off_loop, so_far).add_to(app)
    Pages(picture, records, pages.off_loop, lambda: commands is not None and commands.is_open(), so_far).add_to(app)
    if commands is not None:
        Writes(commands, pages.off_loop).add_to(app)
    Uploads(inboxes or Inboxes(), pages.unready, pages.off_loop).add_to(app)
    app.on_cleanup.extend([pages.close, access.close])
    return app


@web.middleware
async def _finish(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors as plain text, and the same headers on every answer."""
    try:
        response = await handler(request)
    except web.HTTPException as error:
        said = (error.text or "").removeprefix(f"{error.status}: ").rstrip()  # aiohttp's own texts begin with it
        response = web.Response(status=error.status, text=f"{error.status} {said or error.reason}\n")
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
    except Exception as error:
        _limited.log(
            logging.ERROR, f"http {request.path}", "an HTTP request failed", path=request.path, error=repr(error)
        )
        response = web.Response(status=500, text="500 this failed; the log says why\n")
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


_limited = RateLimited()


class _Server:
    def __init__(
        self,
        picture: Callable[[], Picture],
        records: Records,
        healthy: Healthy,
        ready: Ready,
        reload: Reload,
    ) -> None:
        self._picture, self._records = picture, records
        self._healthy, self._ready, self._reload = healthy, ready, reload
        self._registry = make_registry(picture)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="http")

    async def close(self, _: web.Application) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def unready(self) -> str | None:
        """Why the daemon is not ready, None when it is."""
        ready, why = self._ready()
        return None if ready else why or "not ready yet"

    async def off_loop(self, work: Callable[[], T]) -> T:
        """The result of what takes long, worked out by another thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def metrics(self, request: web.Request) -> web.Response:
        accept, zipped = ",".join(request.headers.getall("Accept", [])), _accepts_gzip(request)

        def exposed() -> tuple[bytes, str]:
            text, content_type = expose(self._registry, accept)
            return (gzip.compress(text, 1) if zipped else text), content_type

        body, content_type = await self.off_loop(exposed)
        headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
        if zipped:
            headers["Content-Encoding"] = "gzip"
        return web.Response(body=body, headers=headers)

    async def healthy(self, _: web.Request) -> web.Response:
        return _answer(None if self._healthy() else "the pipeline makes no progress", "Tidegauge is healthy.\n")

    async def ready(self, _: web.Request) -> web.Response:
        ready, why = self._ready()
        return _answer(self.unready(), "Tidegauge is ready.\n" + (f"{why}\n" if ready and why else ""))

    async def reload(self, _: web.Request) -> web.Response:
        try:
            done = await self._reload()
        except ValueError as error:
            return web.Response(status=500, text=f"500 the configuration was not taken over: {error}\n")
        if not done:
            return web.Response(status=202, text="202 the pipeline is busy; the log will say what became of it\n")
        return web.Response(text="The configuration was taken over.\n")

    async def index(self, _: web.Request) -> web.Response:
        unready = self.unready()
        text = await self.off_loop(partial(self._page, unready))
        return web.Response(text=text, content_type="text/html", headers=PAGE_HEADERS)

    def _page(self, unready: str | None) -> str:
        picture = self._picture()
        days: dict[int, int] = {}
        try:
            events = [event.to_json() for _, event in self._records.events(EventFilter(), page.EVENTS_SHOWN)]
            days = self._records.begun_by_day()
        except StoreError as error:
            _limited.log(logging.ERROR, "page", "events cannot be read", error=str(error))
            events, unready = [], unready or f"events cannot be read: {error}"
        return page.render(picture, summary.series_rows(picture, limit=page.SERIES_SHOWN), events, days, unready)


def _answer(reason: str | None, good: str) -> web.Response:
    if reason is None:
        return web.Response(text=good)
    return web.Response(status=503, text=f"503 {reason}\n")


def _accepts_gzip(request: web.Request) -> bool:
    offers = [part.replace(" ", "") for part in request.headers.get("Accept-Encoding", "").lower().split(",")]
    return any(part.split(";")[0] == "gzip" and not part.endswith((";q=0", ";q=0.0")) for part in offers)
