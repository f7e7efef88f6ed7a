"""Each source has an error boundary of its own: it goes down, is counted and tried again; no other notices."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.base import Position, Source
from adapters.files.tail import FileTail
from adapters.formats.csv import CsvFormat
from adapters.sockets.tcp import TcpEndpoint
from adapters.sockets.udp import UdpListener
from daemon.config.format_settings import FormatSettings
from daemon.intake.intake import Intake

ROWS = [f"{1_714_557_600 + 60 * k},{k}\n" for k in range(400)]


class Supervised:
    """An intake of two files whose positions are durable after each batch, as the daemon has it."""

    def __init__(self, directory: Path, make: Callable[[str], Source] | None = None) -> None:
        self.directory, self.now = directory, 0.0
        self.positions: dict[str, dict[str, Position]] = {}
        self.values: dict[str, list[float]] = {}
        self.make = make or self._tail
        sources = [self.make(name) for name in ("s/0", "s/1")]
        self.intake = Intake(
            "s", sources, CsvFormat(time="timestamp", value=["value"]), FormatSettings(), None, lambda: self.now
        )
        self.intake.supervise(self.make, lambda name: self.positions.get(name, {}))
        self.intake.open({})

    def _tail(self, name: str) -> FileTail:
        return FileTail(name, self.path(name[-1]) / "*.csv", scan_every_s=0, monotonic=lambda: self.now)

    def path(self, number: str) -> Path:
        (self.directory / number).mkdir(exist_ok=True)
        return self.directory / number

    def write(self, number: str, start: int, stop: int, name: str = "meter.csv") -> None:
        with (self.path(number) / name).open("a") as file:
            file.write(("" if file.tell() else "timestamp,value\n") + "".join(ROWS[start:stop]))

    def turn(self, seconds: float = 0.0) -> None:
        self.now += seconds
        for _ in range(3):
            taken = self.intake.poll(0)
            if taken is not None:
                for name, places in taken.positions.items():
                    self.positions.setdefault(name, {}).update(places)
                for code, value in zip(taken.batch.codes, taken.batch.values[:, 0], strict=True):
                    self.values.setdefault(taken.batch.series[code], []).append(float(value))

    def status(self, number: str) -> dict[str, float]:
        return self.intake.status()[f"s/{number}"]


FAILURES: dict[str, Exception] = {
    "EMFILE": OSError(errno.EMFILE, "Too many open files"),
    "EIO": OSError(errno.EIO, "Input/output error"),
    "a mistake of the program": RuntimeError("no such thing"),
    "no memory": MemoryError(),
}


@pytest.mark.parametrize("where", ["poll", "backlog", "forgotten", "status"])
@pytest.mark.parametrize("kind", FAILURES)
def test_a_source_that_fails_goes_down_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, where: str
) -> None:
    """Whatever fails in whichever call: the other source is read on; the failed one comes back where it was."""
    one = Supervised(tmp_path)
    one.write("0", 0, 10, "a.csv")
    one.write("1", 0, 10, "b.csv")
    one.turn()

    def fail(*_: Any, **__: Any) -> Any:
        raise FAILURES[kind]

    monkeypatch.setattr(one.intake.sources[0], where, fail)
    one.write("0", 10, 20, "a.csv")
    one.write("1", 10, 20, "b.csv")
    one.turn()
    one.intake.forgotten()
    assert one.status("0")["up"] == 0
    assert one.status("0")["failures"] == 1
    assert list(one.intake.down()) == ["s/0"]
    assert one.status("1")["up"] == 1
    assert one.values["b"] == list(range(20))
    one.turn(2.0)
    assert one.intake.down() == {}
    assert one.values["a"] == list(range(20)), "nothing is lost, and nothing comes twice"


def test_the_pauses_grow(tmp_path: Path) -> None:
    """A source that fails again and again is tried less and less often, at least once a minute."""
    one, tries = Supervised(tmp_path), 0

    class Broken(FileTail):
        def open(self, positions: Any) -> None:
            nonlocal tries
            tries += 1
            raise OSError(errno.ENODEV, "No such device")

    one.make = lambda name: Broken(name, tmp_path)
    one.intake.supervise(one.make, lambda name: {})
    with one.intake._bounded(one.intake.sources[0]):
        raise OSError(errno.ENODEV, "No such device")
    for _ in range(600):
        one.turn(1.0)
    assert 10 <= tries <= 20
    assert one.status("0")["failures"] == tries + 1


def test_an_address_that_is_not_there_at_the_start(tmp_path: Path) -> None:
    """A listener whose address is taken is down, the other source is read; it listens once the address is free."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]

        def make(name: str) -> Source:
            return UdpListener(name, "127.0.0.1", port) if name == "s/0" else one_tail(name)

        def one_tail(name: str) -> FileTail:
            return FileTail(name, tmp_path / "b.csv", scan_every_s=0)

        (tmp_path / "b.csv").write_text("timestamp,value\n" + "".join(ROWS[:5]))
        one = Supervised(tmp_path, make)
        one.turn()
        assert "Address already in use" in one.intake.down()["s/0"]
        assert one.values["b"] == list(range(5))
    one.turn(2.0)
    assert one.intake.down() == {}
    assert one.status("0")["up"] == 1
    one.intake.close()


@pytest.mark.parametrize("fault", ["removed", "a file", "a loop", "unreadable", "a long name", "EMFILE"])
def test_directories_of_every_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """A directory that cannot be looked at, however, leaves the other source alone, and is read when it is back."""
    one = Supervised(tmp_path)
    one.write("0", 0, 10, "a.csv")
    one.write("1", 0, 10, "b.csv")
    one.turn()
    place, aside = one.path("0"), tmp_path / "aside"
    with monkeypatch.context() as patch:
        if fault in ("removed", "a file", "a loop"):
            place.rename(aside)
            if fault == "a file":
                place.write_text("no directory")
            elif fault == "a loop":
                place.symlink_to(place)
        else:
            code = {"unreadable": errno.EACCES, "a long name": errno.ENAMETOOLONG, "EMFILE": errno.EMFILE}[fault]
            real = os.scandir

            def scandir(path: Any = ".") -> Any:
                if str(path).startswith(str(place)):
                    raise OSError(code, os.strerror(code), str(path))
                return real(path)

            patch.setattr(os, "scandir", scandir)
        one.write("1", 10, 20, "b.csv")
        one.turn(1.0)
        one.turn(1.0)
        assert one.values["b"] == list(range(20))
    if aside.exists():
        if place.exists() or place.is_symlink():
            place.unlink()
        aside.rename(place)
    one.write("0", 10, 20, "a.csv")
    for _ in range(4):
        one.turn(60.0)
    assert one.values["a"] == list(range(20))
    assert one.intake.down() == {}


def test_without_supervision_an_error_is_raised(tmp_path: Path) -> None:
    """Who reads a source for once hears of its error."""
    endpoint = TcpEndpoint("127.0.0.1", 0)
    assert endpoint.kind == "tcp"
    intake = Intake(
        "s", [UdpListener("s/0", "192.0.2.1", 9)], CsvFormat(time="timestamp", value=["value"]), FormatSettings()
    )
    with pytest.raises(OSError, match="cannot listen"):
        intake.open({})
