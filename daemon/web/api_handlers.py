"""The reading side of the API: a handler for each operation of `daemon.web.api_document`, none on the event loop.

Handlers look at the newest picture and read the store by themselves; nothing here waits for the engine or keeps it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aiohttp import web

from daemon.metrics.collector import Picture, version
from daemon.store import EventFilter, StoreError
from daemon.web import api_answers, summary
from daemon.web.answers import json_response
from daemon.web.api_document import PREFIX, READING, WRITING, Operation, ParameterError, document
from daemon.web.records import Records
from daemon.web.series_search import SeriesFilter, find, search

OffLoop = Callable[[Callable[[], web.Response]], Awaitable[web.Response]]


class UnknownStreamError(LookupError):
    """A stream that is not there; `streams` are."""

    def __init__(self, stream: str, streams: list[str]) -> None:
        super().__init__(f"there is no stream {stream!r}")
        self.streams = streams


class Api:
    """Answers what is asked for.

    Args:
        picture: The newest picture; called from any thread.
        records: Of the state directory.
        unready: Why the daemon is not ready, None when it is.
        off_loop: Has another thread work something out.
        what_if: The newest what-if so far.
    """

    def __init__(
        self,
        picture: Callable[[], Picture],
        records: Records,
        unready: Callable[[], str | None],
        off_loop: OffLoop,
        what_if: Callable[[], dict[str, Any]],
    ) -> None:
        self._what_if = what_if
        self._picture, self._records, self._unready, self._off_loop = picture, records, unready, off_loop

    def add_to(self, app: web.Application) -> None:
        """Add the routes, in the table's order."""
        for operation in READING:
            app.router.add_get(PREFIX + operation.path, partial(self._serve, operation))

    async def _serve(self, operation: Operation, request: web.Request) -> web.Response:
        try:
            values = operation.read(request.query) | dict(request.match_info)
        except ParameterError as error:
            return json_response({"error": str(error)}, status=400)
        return await self._off_loop(partial(self._answer, operation, values))

    def _answer(self, operation: Operation, values: dict[str, Any]) -> web.Response:
        try:
            return json_response(getattr(self, operation.name)(**values))
        except UnknownStreamError as error:
            return json_response({"error": str(error), "streams": error.streams}, status=404)
        except LookupError as error:
            return json_response({"error": str(error.args[0])}, status=404)
        except (StoreError, OSError) as error:
            return web.Response(status=503, text=f"503 {error}\n")

    # -- operations ----------------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """See the table, as for all that follow."""
        return summary.status(self._picture(), self._unready())

    def streams(self) -> dict[str, Any]:
        """All streams."""
        return api_answers.streams(self._picture())

    def series(self, limit: int, cursor: str | None, **wanted: Any) -> dict[str, Any]:
        """A page of the series that are wanted."""
        picture = self._known(wanted["stream"])
        found = search(picture, SeriesFilter(**wanted), limit, cursor)
        return {"series": summary.rows_of(found.rows), "total": found.total, "next": found.next}

    def course(self, stream: str, series: str, since: int | None, until: int | None) -> dict[str, Any]:
        """One series in a range."""
        picture = self._known(stream)
        found = find(picture, stream, series)
        if found is None:
            raise LookupError(f"stream {stream!r} has no series {series!r}")
        return api_answers.course(picture, *found, self._records, since, until)

    def events(self, limit: int, before: int | None, **wanted: Any) -> dict[str, Any]:
        """A page of the events that are wanted."""
        found = self._records.events(EventFilter(**wanted, before_row=before), limit + 1)
        more = found[limit - 1][0] if len(found) > limit else None
        return {"events": [event.to_json() for _, event in found[:limit]], "next": more}

    def event(self, id: str) -> dict[str, Any]:
        """One event."""
        told = self._records.event(id)
        if told is None:
            raise LookupError(f"there is no event {id!r}")
        return api_answers.event(told)

    def labels(self, stream: str | None, series: str | None, limit: int) -> dict[str, Any]:
        """The newest labels."""
        found = self._records.labels(stream, series)
        return {"labels": [api_answers.label(each) for each in reversed(found[-limit:])]}

    def models(self, stream: str | None, limit: int) -> dict[str, Any]:
        """The newest versions."""
        return api_answers.models(self._records.models(stream), self._picture(), limit)

    def maintenance(self, stream: str | None) -> dict[str, Any]:
        """Windows of a stream, or of all."""
        return {"windows": api_answers.windows(self._known(stream), stream)}

    def what_if(self) -> dict[str, Any]:
        """The newest what-if."""
        return {"state": "none", "asked": None, "at": None, "error": None, "found": None} | self._what_if()

    def sources(self) -> dict[str, Any]:
        """All sources."""
        return api_answers.sources(self._picture())

    def openapi(self) -> dict[str, Any]:
        """The document."""
        return document(READING + WRITING, version())

    def _known(self, stream: str | None) -> Picture:
        """The newest picture, which has a stream. Raises UnknownStreamError."""
        picture = self._picture()
        if stream is not None and stream not in picture.streams:
            raise UnknownStreamError(stream, list(picture.streams))
        return picture
