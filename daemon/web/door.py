"""The HTTP server with its address, TLS and passwords, all of which may change while it serves."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from daemon.config.document import ConfigError
from daemon.config.settings import HttpSettings
from daemon.web import web_config
from daemon.web.connections import Server, Site
from daemon.web.web_auth import Access
from daemon.web.web_config import WebConfig

log = logging.getLogger(__name__)

_Stamp = tuple[int, int, int]
_Stamps = dict[Path, _Stamp | None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """Settings that could hold: their web-config file's content, and the new address, which `abandon` gives back.

    Attributes:
        settings: The section `http`.
        config: What the web-config file says.
        stamps: Of the files that it names, when they were read.
        site: Listens on the new address already; None where the address stays.
    """

    settings: HttpSettings
    config: WebConfig
    stamps: _Stamps
    site: Site | None

    async def abandon(self) -> None:
        """Do not use it."""
        if self.site is not None:
            await self.site.stop()


class Door:
    """Where the application is to be had, and by whom.

    Args:
        app: What is served; `access` is its guard.
        access: Lets in whom the web-config file says.
        settings: The section `http`.
    """

    def __init__(self, app: web.Application, access: Access, settings: HttpSettings) -> None:
        self._access, self._settings = access, settings
        self._server = Server(app, settings.address)
        self._stamps: _Stamps = {}
        self._config = WebConfig()

    @property
    def name(self) -> str:
        """The address, for people."""
        return self._server.name

    async def open(self) -> None:
        """Listen.

        Raises:
            ConfigError: The web-config file cannot be used.
            OSError: The address cannot be had.
        """
        await self._let_in(self._settings, *self._read(self._settings))
        with _said(self._settings):
            await self._server.start()
        log.info("listening", extra={"address": self._server.name})

    async def prepare(self, settings: HttpSettings) -> Prepared:
        """Read the web-config file and listen on the address of other settings, beside those that hold.

        Raises:
            ConfigError: The web-config file cannot be used.
            OSError: The address cannot be had.
        """
        config, stamps = self._read(settings)
        with _said(settings):
            return Prepared(settings, config, stamps, await self._server.bind(settings.address))

    async def use(self, prepared: Prepared) -> None:
        """Go over to what was prepared. Whatever this raises, what held before holds, and it is abandoned."""
        before = self._settings, self._config, self._stamps
        try:
            await self._let_in(prepared.settings, prepared.config, prepared.stamps)
            if prepared.site is not None:
                await prepared.site.secure(prepared.config.tls)
                await self._server.move(prepared.site)
                log.info("listening", extra={"address": self._server.name})
        except BaseException:
            await prepared.abandon()
            await self._let_in(*before)
            raise

    async def look_again(self) -> None:
        """Read the web-config file, its certificates and keys again if one has changed; what is bad changes nothing."""
        if all(_stamp(path) == stamp for path, stamp in self._stamps.items()):
            return
        try:
            config, stamps = self._read(self._settings)
        except ConfigError as error:
            self._stamps = {path: _stamp(path) for path in self._stamps}
            log.error("web_config was changed and cannot be used, the one before holds", extra={"error": str(error)})
            return
        await self._let_in(self._settings, config, stamps)
        log.info("web_config was changed, its new content holds")

    async def close(self) -> None:
        """Accept nothing more and end what is being answered, within seconds."""
        await self._server.close()

    async def _let_in(self, settings: HttpSettings, config: WebConfig, stamps: _Stamps) -> None:
        await self._server.secure(config.tls)
        self._access.config, self._access.metrics_open = config, settings.metrics_without_password
        self._access.hosts = settings.names
        self._settings, self._config, self._stamps = settings, config, stamps

    def _read(self, settings: HttpSettings) -> tuple[WebConfig, _Stamps]:
        """The file's content, and what is to be watched for a change of it.

        Stamps are taken before, so that what is written meanwhile counts as changed.
        """
        if settings.web_config is None:
            return WebConfig(), {}
        before = {path: _stamp(path) for path in self._stamps}
        config = web_config.read(settings.web_config)
        return config, {path: before.get(path) or _stamp(path) for path in config.files}


@contextmanager
def _said(settings: HttpSettings) -> Iterator[None]:
    """Has what the system says of an address name the key, and what to do."""
    try:
        yield
    except OSError as error:
        known = error.errno is not None and error.errno > 0  # a host that cannot be looked up has a number of its own
        why = os.strerror(error.errno) if known and error.errno is not None else error.strerror
        text = f"http.listen is {settings.listen}: {why}; free it, or set another http.listen"
        raise OSError(error.errno, text) from error


def _stamp(path: Path) -> _Stamp | None:
    """Changes when the file does; None while there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - one system call
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
