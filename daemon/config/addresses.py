"""Addresses with a port, as the configuration and the command line write them."""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import urlsplit

HINT = "write 127.0.0.1:{port}, 0.0.0.0:{port} or [::1]:{port}"
NO_TLS = "is set, but url is {url}, so there is no TLS; write a scheme that has it, or remove it"
NO_USER = "is set, but user is not; add user or remove it"
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.%\w]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")


def split_address(text: str) -> tuple[str, int] | None:
    """Host (without brackets) and port of `text`; None when it is not an address and a port.

    >>> split_address("[::1]:9898")
    ('::1', 9898)
    """
    match = _ADDRESS.fullmatch(text)
    if not match or int(match[2]) > 65535:
        return None
    return match[1].strip("[]"), int(match[2])


def join_address(host: str, port: int) -> str:
    """The text of a host and a port, an IPv6 host in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_secured(url: str) -> bool:
    """Whether what is sent there is sent over TLS."""
    return urlsplit(url).scheme in ("https", "kafkas", "mqtts", "tls")


def is_address(url: str, schemes: Collection[str], *, bare: bool = True) -> bool:
    """Whether a URL has a scheme of these, a host and perhaps a port; `bare` allows no user, path and query beside."""
    try:
        parts = urlsplit(url)
        beside = parts.username is not None or parts.path not in ("", "/") or parts.query or parts.fragment
        return (
            parts.scheme in schemes
            and bool(parts.hostname)
            and parts.port != 0
            and not (bare and beside)
            and url.isprintable()
            and " " not in url
        )
    except ValueError:
        return False
