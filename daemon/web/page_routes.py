"""Where the pages are, beside the overview: one series, one event, a search, models, sources."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from aiohttp import web

from daemon.metrics.collector import Picture
from daemon.store import StoreError
from daemon.web import api_answers, detail_pages, list_pages, what_if_page
from daemon.web.api_document import READING, ParameterError
from daemon.web.detail_pages import SPAN_OF
from daemon.web.frame_values import filled
from daemon.web.page_assets import PAGE_HEADERS
from daemon.web.records import Records, Told
from daemon.web.series_search import SeriesFilter, find, search
from daemon.web.summary import rows_of

OffLoop = Callable[[Callable[[], web.Response]], Awaitable[web.Response]]

_ROWS = 50
_OPERATIONS = {each.name: each for each in READING}
_BEFORE_S = 366 * 86400  # how far back an event's reading is compared
_AROUND = 2  # lengths of an episode that are shown on either side


class Pages:
    """Answers pages.

    Args:
        picture: The newest picture; called from any thread.
        records: Of the state directory.
        off_loop: Has another thread work something out.
        writable: Whether labels and promotions are taken, so that there are buttons.
        what_if: The newest what-if so far.
    """

    def __init__(
        self,
        picture: Callable[[], Picture],
        records: Records,
        off_loop: OffLoop,
        writable: Callable[[], bool],
        what_if: Callable[[], Mapping[str, Any]],
    ) -> None:
        self._what_if = what_if
        self._picture, self._records, self._off_loop, self._writable = picture, records, off_loop, writable

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        for path, page in (
            ("/series", self._series),
            ("/event", self._event),
            ("/search", self._search),
            ("/models", self._models),
            ("/sources", self._sources),
            ("/maintenance", self._maintenance),
            ("/what-if", self._asked),
        ):
            app.router.add_get(path, partial(self._serve, page))

    async def _serve(self, page: Callable[[Mapping[str, str]], str], request: web.Request) -> web.Response:
        return await self._off_loop(
            partial(_answer, page, {name: text for name, text in request.query.items() if text})
        )

    def _series(self, query: Mapping[str, str]) -> str:
        values = _OPERATIONS["course"].read(query)
        span = query.get("span", "2d")
        if span not in SPAN_OF:
            raise ParameterError(f"span is {span[:40]!r}; give one of {', '.join(SPAN_OF)}")
        picture = self._picture()
        found = find(picture, values["stream"], values["series"])
        if found is None:
            raise LookupError(f"stream {values['stream']!r} has no series {values['series']!r}")
        stream, entry = found
        until = values["until"]
        if until is None:
            until = int(stream.series.last_reading_at[entry]) + stream.interval_s
        course = api_answers.course(picture, stream, entry, self._records, until - SPAN_OF[span], until)
        return detail_pages.series_page(rows_of([found])[0], course, span, stream.interval_s)

    def _event(self, query: Mapping[str, str]) -> str:
        told = self._records.event(query.get("id", ""))
        if told is None:
            raise LookupError(f"there is no event {query.get('id', '')[:40]!r}")
        return detail_pages.event_page(told, *self._around(told), self._writable())

    def _around(self, told: Told) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
        """The course around an event, and of the time before it."""
        event, picture = told.event, self._picture()
        found = None if event.series is None else find(picture, event.stream, event.series)
        if found is None:
            return None, None
        interval_s = found[0].interval_s
        beside = max(_AROUND * (event.ended_at - event.started_at), 86400, 12 * interval_s)
        newest = int(found[0].series.last_reading_at[found[1]]) + interval_s
        until = min(event.ended_at + beside, max(newest, event.ended_at + interval_s))
        course = partial(api_answers.course, picture, *found, self._records)
        before = course(event.started_at - _BEFORE_S, event.started_at)
        return course(event.started_at - beside, until), before

    def _search(self, query: Mapping[str, str]) -> str:
        values = _OPERATIONS["series"].read({"limit": str(_ROWS), **query})
        limit, cursor = values.pop("limit"), values.pop("cursor")
        picture, wanted = self._picture(), SeriesFilter(**values)
        return list_pages.search_page(picture, wanted, search(picture, wanted, limit, cursor))

    def _models(self, _: Mapping[str, str]) -> str:
        return list_pages.models_page(self._picture(), self._records.models(None), self._writable())

    def _maintenance(self, _: Mapping[str, str]) -> str:
        return list_pages.maintenance_page(self._picture(), self._writable())

    def _asked(self, _: Mapping[str, str]) -> str:
        return what_if_page.what_if_page(self._picture(), self._what_if(), self._writable())

    def _sources(self, _: Mapping[str, str]) -> str:
        return list_pages.sources_page(self._picture())


def _answer(page: Callable[[Mapping[str, str]], str], query: Mapping[str, str]) -> web.Response:
    """A page, or one that says why there is none."""
    try:
        text, status = page(query), 200
    except ParameterError as error:
        text, status = filled("problem.html", title="This cannot be shown", text=str(error)), 400
    except LookupError as error:
        text, status = filled("problem.html", title="Not here", text=str(error.args[0])), 404
    except (StoreError, OSError) as error:
        text, status = filled("problem.html", title="The store cannot be read", text=str(error)), 503
    return web.Response(text=text, status=status, content_type="text/html", headers=PAGE_HEADERS)
