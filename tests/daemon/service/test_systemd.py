"""What reaches the service manager's socket."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.service.systemd import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A listening service manager and its address as the environment gives it."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@tidegauge-test-{os.getpid()}-{time.time_ns()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name[1:] if name.startswith("@") else name)
        listener.settimeout(5)
        yield listener, name


def test_each_state_is_one_datagram(manager: tuple[socket.socket, str]) -> None:
    """READY, STATUS, WATCHDOG, RELOADING and STOPPING arrive as sd_notify(3) writes them, abstract sockets included."""
    listener, name = manager
    notifier = Notifier({"NOTIFY_SOCKET": name})
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    for send in (
        lambda: notifier.ready("watching 3 series"),
        notifier.watchdog,
        lambda: notifier.status("two\nlines  of\ttext\nREADY=1"),
        notifier.stopping,
        notifier.reloading,
    ):
        assert send() is True
    got = [listener.recv(4096).decode() for _ in range(5)]
    assert got[:4] == [
        "READY=1\nSTATUS=watching 3 series",
        "WATCHDOG=1",
        "STATUS=two lines of text READY=1",
        "STOPPING=1",
    ]
    kind, _, usec = got[4].partition("\nMONOTONIC_USEC=")
    assert kind == "RELOADING=1"
    assert before <= int(usec) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def test_without_a_manager_nothing_happens() -> None:
    """Outside systemd every call says that it did nothing."""
    notifier = Notifier({})
    assert not notifier.enabled
    assert [notifier.ready(), notifier.watchdog(), notifier.status("x"), notifier.stopping()] == [False] * 4
    assert notifier.reloading() is False


def test_a_manager_that_is_gone_is_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A dead socket is logged once, and the daemon goes on."""
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    with caplog.at_level(logging.WARNING, logger="tidegauge"):
        assert [notifier.watchdog() for _ in range(5)] == [False] * 5
    assert len(caplog.records) == 1


def test_a_manager_that_does_not_read_holds_nobody_up(tmp_path: Path) -> None:
    """With the socket's queue full a notification is lost at once instead of waiting."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "full"))
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "full")})
        assert not all(notifier.watchdog() for _ in range(5000))


def test_a_manager_that_comes_back_is_told_again(tmp_path: Path) -> None:
    """After a failure the next notification is tried again (systemd re-executes itself on upgrade)."""
    path = str(tmp_path / "later")
    notifier = Notifier({"NOTIFY_SOCKET": path})
    assert not notifier.watchdog()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(path)
        assert notifier.watchdog()
        assert listener.recv(100) == b"WATCHDOG=1"


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "²"}, None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_asked(environment: dict[str, str], seconds: float | None) -> None:
    """Half of WATCHDOG_USEC, where it is meant for this process and makes sense; else there is no watchdog."""
    assert Notifier(environment).watchdog_s == seconds
