"""Answers that several servers give alike."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from aiohttp import web

from adapters.text import shown

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Server": "tidegauge",
}
"""Of every answer of the HTTP server, that to a request it cannot read included."""


def json_response(value: object, status: int = 200) -> web.Response:
    """A value as JSON, numpy's included."""
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    try:
        body = orjson.dumps(value, default=_plain, option=options)
    except TypeError:  # text that is none: what a client asked for, said back
        body = orjson.dumps(shown(value), default=_plain, option=options)
    return web.Response(body=body, status=status, content_type="application/json")


def _plain(value: object) -> object:
    """What orjson does not know: a picture's mappings, and the rest as text."""
    return dict(value) if isinstance(value, Mapping) else str(value)
