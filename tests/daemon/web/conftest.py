"""A daemon that has read fifty days of three series, for tests that ask it as clients do."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from tests.daemon.web.live_daemon import LiveDaemon


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDaemon]:
    """The daemon, once it has read everything; started once for all that only ask."""
    with LiveDaemon(tmp_path_factory.mktemp("live")) as daemon:
        yield daemon


@pytest.fixture(scope="session")
def address(live: LiveDaemon) -> str:
    """Where it answers."""
    return live.address


@pytest.fixture(scope="module")
def writable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Address and token of a daemon that takes what is written, which only one module writes to."""
    directory = tmp_path_factory.mktemp("writable")
    token = secrets.token_urlsafe()
    (directory / "token").write_text(token)
    with LiveDaemon(directory, token_file="token") as daemon:
        yield daemon.address, token
