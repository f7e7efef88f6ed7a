"""Sinks: each in its own thread, at least once, in order; one that hangs or fails holds up nothing."""

from __future__ import annotations

import io
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from daemon.config.sink_settings import EventSettings
from daemon.engine.messages.events import Event
from daemon.service import delivery as module
from daemon.service.delivery import Delivery
from daemon.store import Store
from tests.daemon.store.contents import event
from tests.e2e.processes import Daemon, revisions, tide, until


class Stuck(io.BytesIO):
    """A stream whose reader stands still until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.let_go = threading.Event(), threading.Event()

    def write(self, data: object) -> int:
        self.reached.set()
        self.let_go.wait()
        return super().write(data)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "state") as opened:
        yield opened


def begun(store: Store, settings: EventSettings, stdout: io.BytesIO) -> Delivery:
    delivery = Delivery(store, stdout)
    delivery.take_over(delivery.prepare(settings))
    return delivery


def events(*ids: str) -> list[Event]:
    return [event(each) for each in ids]


def ids(text: bytes) -> list[str]:
    return [json.loads(line)["id"] for line in text.splitlines()]


def test_a_sink_that_hangs_holds_up_no_other(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output's reader stands still: the file is written all the same, in order, and an end is bounded."""
    monkeypatch.setattr(module, "LEAVE_S", 0.2)
    file, stuck = tmp_path / "events.jsonl", Stuck()
    delivery = begun(store, EventSettings(file=file, stdout=True), stuck)
    store.record_events(events("a", "b"))
    delivery.wake()
    assert stuck.reached.wait(20)
    until("the file", lambda: file.read_bytes().count(b"\n") == 2)
    store.record_events(events("c"))
    delivery.wake()
    until("one more", lambda: file.read_bytes().count(b"\n") == 3)
    delivery.close()
    assert ids(file.read_bytes()) == ["a", "b", "c"]
    assert store.sink_position(f"file:{file}") == (3, file.stat().st_size)
    assert store.sink_position("stdout") == (0, 0)
    stuck.let_go.set()


def test_what_is_recorded_is_delivered_before_the_end(store: Store, tmp_path: Path) -> None:
    """An orderly end hands on all events, and the next start delivers none of them again."""
    file = tmp_path / "events.jsonl"
    for name in ("a", "b"):
        delivery = begun(store, EventSettings(file=file, stdout=False), io.BytesIO())
        store.record_events(events(name))
        delivery.close()
    assert ids(file.read_bytes()) == ["a", "b"]


def test_what_was_not_recorded_comes_again(store: Store, tmp_path: Path) -> None:
    """After a crash between a delivery and its record: the file is cut to its committed length and written again."""
    file = tmp_path / "events.jsonl"
    delivery = begun(store, EventSettings(file=file, stdout=False), io.BytesIO())
    store.record_events(events("a"))
    delivery.wake()
    until("delivered", lambda: file.stat().st_size > 0)
    again = begun(store, EventSettings(file=file, stdout=False), io.BytesIO())  # `record` was never called
    again.close()
    assert ids(file.read_bytes()) == ["a"]


def test_a_failing_sink_waits_and_goes_on(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a sink raises is counted, its events wait in order, and it goes on by itself."""
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    failing = [RuntimeError("odd"), OSError(28, "No space left on device")]

    class Flaky(io.BytesIO):
        def write(self, data: object) -> int:
            if failing:
                raise failing.pop()
            return super().write(data)  # type: ignore[arg-type]

    stdout = Flaky()
    delivery = begun(store, EventSettings(stdout=True), stdout)
    store.record_events(events("a", "b"))
    delivery.wake()
    until("delivered", lambda: ids(stdout.getvalue()) == ["a", "b"])
    delivery.record()
    assert store.sink_position("stdout")[0] == 2
    delivery.close()


def test_what_is_recorded_while_a_sink_recovers_is_not_forgotten(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wake-up that comes during the last delivery of a failing sink counts: the event is delivered, not held."""
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    delivery: Delivery

    class Recovering(io.BytesIO):
        calls = 0

        def write(self, data: object) -> int:
            self.calls += 1
            if self.calls == 1:
                raise OSError(28, "No space left on device")
            if self.calls == 2:
                delivery._couriers["stdout"].wake()  # as the pipeline does, while `failures` is not 0 yet
            return super().write(data)  # type: ignore[arg-type]

    stdout = Recovering()
    delivery = begun(store, EventSettings(stdout=True), stdout)
    store.record_events(events("a"))
    delivery.wake()
    until("the first", lambda: ids(stdout.getvalue()) == ["a"])
    courier = delivery._couriers["stdout"]
    until("it has looked again", lambda: not courier.failures and not courier._wake.is_set())
    delivery.close()


def test_a_sink_that_hangs_is_not_opened_twice(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Taken away while it hangs and wanted again: refused with the reason until the first has let go."""
    monkeypatch.setattr(module, "LEAVE_S", 0.1)
    stuck = Stuck()
    delivery = begun(store, EventSettings(stdout=True), stuck)
    store.record_events(events("a"))
    delivery.wake()
    assert stuck.reached.wait(20)
    delivery.take_over(delivery.prepare(EventSettings(stdout=False)))
    with pytest.raises(OSError, match="stdout still hangs in a delivery from before"):
        delivery.prepare(EventSettings(stdout=True))
    stuck.let_go.set()

    def prepared() -> bool:
        try:
            delivery.take_over(delivery.prepare(EventSettings(stdout=True)))
        except OSError:
            return False
        return True

    until("it may be opened again", prepared)
    delivery.close()
    assert ids(stuck.getvalue())[-1] == "a"


def test_a_sink_that_cannot_be_opened_changes_nothing(store: Store, tmp_path: Path) -> None:
    """`prepare` raises and lets go what it had opened; what is at work goes on."""
    delivery = begun(store, EventSettings(file=tmp_path / "a.jsonl", stdout=False), io.BytesIO())
    store.record_events(events("first"))
    delivery.wake()
    until("its thread has opened its reader", lambda: (tmp_path / "a.jsonl").stat().st_size > 0)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(OSError, match="No such file"):
        delivery.prepare(EventSettings(file=tmp_path / "none" / "b.jsonl", stdout=True))
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    store.record_events(events("a"))
    delivery.close()
    assert ids((tmp_path / "a.jsonl").read_bytes()) == ["first", "a"]


@pytest.mark.parametrize("where", ["fifo without a reader", "fifo that is full", "standard output that is full"])
def test_sigterm_ends_a_daemon_whose_reader_stands_still(tmp_path: Path, where: str) -> None:
    """Readings are taken and events recorded whoever does not read them; SIGTERM ends it with 0, in bounded time."""
    fifo = tmp_path / "events.fifo"
    os.mkfifo(fifo)
    sink = {"stdout": True} if "output" in where else {"stdout": False, "file": "events.fifo"}
    config = tmp_path / "tidegauge.yaml"
    config.write_text(yaml.safe_dump({**tide(), "events": sink, "log": {"format": "plain"}}))
    reader = None if "without" in where else os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    read_end, write_end = os.pipe()
    full = [os.open(fifo, os.O_WRONLY | os.O_NONBLOCK) if reader is not None else write_end, write_end]
    for descriptor in full:
        os.set_blocking(descriptor, False)
        try:
            while os.write(descriptor, bytes(4096)):
                pass
        except BlockingIOError:
            pass
    os.set_blocking(write_end, True)
    lines = "".join(f"2026-03-{1 + h // 24:02d}T{h % 24:02d}:00Z,{5 if h != 200 else 900}\n" for h in range(260))
    (tmp_path / "tide.csv").write_text("timestamp,value\n" + lines)
    with Daemon(config, stdout=write_end) as daemon:
        daemon.loaded()
        until("all read", lambda: daemon.has_read(260))
        until("recorded", lambda: len(revisions(config)) > 0)
        assert daemon.end(signal.SIGTERM) == 0
    for descriptor in {read_end, *full, *([] if reader is None else [reader])}:
        os.close(descriptor)
