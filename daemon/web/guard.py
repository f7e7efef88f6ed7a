"""Which requests are looked at: not those that a page of another site has a browser send, nor any with a coded body
that no source takes.

A name that somebody else's DNS points at this machine (DNS rebinding) makes their page one of our own to a browser. The
browser still says that name in `Host`, so only known names are answered.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from adapters.uploads.protocol import PATHS
from daemon.web.web_auth import Access

_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::[0-9]{0,5})?")
_CODED = frozenset(PATHS.values())  # their handlers say which codings they take, within bounds
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES = frozenset({"same-origin", "none"})  # `none`: the user typed the address


def guard(access: Access) -> Middleware:
    """Refuses what must not be answered, whoever asks.

    Args:
        access: Its `hosts` are known, beside IP addresses and `localhost`.
    """

    @web.middleware
    async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
        host = request.headers.get("Host")
        # HTTP/1.0 may leave it out; a browser never does
        if host is not None and not _is_known(host, access.hosts):
            raise web.HTTPMisdirectedRequest(text="this name is not one of this server's; add it to http.hosts")
        if request.method not in _READING and _is_foreign(request):
            raise web.HTTPForbidden(text="a page of another site may not ask for this")
        coding = request.headers.get("Content-Encoding", "identity").strip().lower()
        if coding != "identity" and request.path not in _CODED:
            raise web.HTTPUnsupportedMediaType(text="a body with a Content-Encoding is not taken")
        return await handler(request)

    return refuse


def _is_known(host: str, names: frozenset[str]) -> bool:
    """Whether a `Host` is an IP address, `localhost`, or one of `names` (lower case); its port does not matter."""
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    name = (match[1] or match[2]).lower().removesuffix(".")
    if name == "localhost" or name in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_foreign(request: web.Request) -> bool:
    """Whether a browser says that a page of another site is behind a request."""
    if request.headers.get("Sec-Fetch-Site", "none") not in _OWN_SITES:
        return True
    origin = request.headers.get("Origin")
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc != request.host
    except ValueError:
        return True
