"""The configuration read again while the daemon runs: everything changes or nothing does."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.config.file import effective, load
from daemon.config.settings import Settings
from daemon.engine.messages.inputs import Configured
from daemon.service.reload import Reloader, ReloadRefusedError, refusals
from daemon.store import open_reader
from tests.adapters.sockets.certificates import Authority
from tests.e2e.processes import Daemon, get, lines_of, tide, until

LINES = "timestamp,value\n2026-03-01T00:00Z,5\n2026-03-01T01:00Z,6\n"

SMALL = tide()


def settings(**changes: Any) -> Settings:
    """The small configuration with `section__key` or `key` replaced; streams' keys are those of `tide`."""
    config = yaml.safe_load(yaml.safe_dump(SMALL))
    for name, value in changes.items():
        *sections, key = name.split("__")
        place = config if sections and sections[0] in Settings.model_fields else config["streams"]["tide"]
        for section in sections:
            place = place.setdefault(section, {})
        place[key] = value
    return Settings.model_validate(config)


@pytest.mark.parametrize(
    "changes",
    [
        {"alerts__false_alarms_per_month": 3},
        {"alerts__limits": {"max": 9}},
        {"gap_after": 9},
        {"model__retrain_every": 50},
        {"sources": [{"path": "tide.csv"}, {"path": "more.csv"}]},
        {"sources": [{"path": "other.csv"}]},
        {"http__listen": "127.0.0.1:1"},
        {"events__file": "e.jsonl", "log__level": "error", "metrics__max_series": 1, "history__keep": "1d"},
        {"streams__bus": {"sources": [{"path": "bus.csv"}]}},
    ],
)
def test_what_is_live_is_not_refused(changes: dict[str, Any]) -> None:
    """Policy, training's rhythm, sources, sinks, HTTP, log and new streams."""
    new = settings(**changes)
    assert effective(new) != effective(settings())
    assert refusals(settings(), new) == []


@pytest.mark.parametrize(
    ("changes", "key", "remedy"),
    [
        ({"interval": "30m"}, "streams.tide.interval", "restart with another state_dir"),
        ({"model__window": 16}, "streams.tide.model.window", "restart with another state_dir"),
        ({"model__copies": 2}, "streams.tide.model.copies", "holds for first trainings"),
        ({"format__value": ["a", "b"]}, "streams.tide.format.value", "restart with another state_dir"),
        ({"sources": [{"type": "stdin"}]}, "streams.tide.sources", "standard input can be opened once only"),
        (
            {"sources": [{"path": "tide.csv"}, {"type": "stdin"}]},
            "streams.tide.sources",
            "standard input can be opened once only",
        ),
        ({"sources": [{"path": "new.csv"}, {"path": "tide.csv"}]}, "streams.tide.sources[0]", "add sources at the end"),
    ],
)
def test_what_is_not_live_is_refused_by_name(changes: dict[str, Any], key: str, remedy: str) -> None:
    """One line for each key that a running daemon cannot change, with what to do."""
    (problem,) = refusals(settings(), settings(**changes))
    assert problem.startswith(f"{key}: ")
    assert remedy in problem


def test_a_stream_that_is_gone_and_another_state_are_refused_together() -> None:
    """All problems are told at once."""
    old = settings(streams__bus={"sources": [{"path": "bus.csv"}]})
    gone, moved = refusals(old, settings().model_copy(update={"state_dir": Path("elsewhere")}))[::-1]
    assert gone.startswith("streams.bus: ")
    assert moved.startswith("state_dir: ")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with the small configuration and two readings."""
    write(tmp_path, SMALL)
    (tmp_path / "tide.csv").write_text(LINES)
    return tmp_path


@pytest.fixture
def daemon(directory: Path) -> Iterator[Daemon]:
    """It runs, and has read both."""
    with Daemon(directory / "tidegauge.yaml") as started:
        started.loaded()
        until("both readings", lambda: started.has_read(2))
        yield started


def write(directory: Path, config: Any) -> None:
    text = config if isinstance(config, str) else yaml.safe_dump(config)
    (directory / "tidegauge.yaml").write_text(text)


def changed(**tide: Any) -> dict[str, Any]:
    """The small configuration with keys of its stream replaced."""
    return {**SMALL, "streams": {"tide": {**SMALL["streams"]["tide"], **tide}}}


def reload(daemon: Daemon) -> tuple[int, str]:
    """Status and text of POST /-/reload."""
    request = urllib.request.Request(f"{daemon.address()}/-/reload", method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_sighup_applies_policy_streams_sources_and_sinks(daemon: Daemon, directory: Path) -> None:
    """One SIGHUP: a limit holds, a stream is there, an event file is written, and what was read is not read again."""
    tide = {"alerts": {"limits": {"max": 100}}, "sources": [{"path": "tide.csv"}, {"path": "late.csv"}]}
    config = changed(**tide)
    config["streams"]["bus"] = {**SMALL["streams"]["tide"], "sources": [{"path": "bus.csv"}]}
    (directory / "bus.csv").write_text(LINES)
    (directory / "late.csv").write_text("timestamp,value\n2026-03-01T02:00Z,7\n2026-03-01T03:00Z,700\n")
    write(directory, {**config, "events": {"stdout": False, "file": "events.jsonl"}})
    daemon.process.send_signal(signal.SIGHUP)
    until("six readings", lambda: daemon.has_read(6))
    until("the limit's event", (directory / "events.jsonl").read_text)
    (event,) = lines_of(directory / "events.jsonl")
    assert (event["series"], event["reasons"]) == ("late", ["limit"])
    accepted = daemon.metric("tidegauge_readings_accepted_total")
    assert accepted == {'{stream="tide"}': 4, '{stream="bus"}': 2}
    assert "configuration taken over" in daemon.said()
    assert daemon.end() == 0
    with open_reader(directory / "state") as reader:
        journaled = [item for _, item in reader.entries() if isinstance(item, Configured)]
    assert [sorted(item.config["streams"]) for item in journaled] == [["tide"], ["bus", "tide"]]


def test_a_delivery_goes_on_over_a_reload(directory: Path) -> None:
    """Readings held when all sources of their stream are exchanged take effect when nothing comes, not at a restart."""
    batch = {"arrival": "batch", "settle": "2s"}
    write(directory, changed(**batch))
    with Daemon(directory / "tidegauge.yaml") as daemon:
        daemon.loaded()
        until("the file is read", lambda: daemon.metric("tidegauge_source_position_bytes").get('{source="tide/0"}'))
        write(directory, changed(**batch, sources=[{"path": "later.csv"}]))
        assert reload(daemon)[0] == 200
        assert not daemon.has_read(1), "the reload came before the end of the delivery"
        until("both readings", lambda: daemon.has_read(2))


HUGE = {
    "max_series": 4_000_000,
    "warm_up": "30d",
    "model": {"window": 512},
    "format": {"value": [f"v{k}" for k in range(100)]},
}
"""763 GiB in one array."""
BAD: list[tuple[Any, str]] = [
    ("version: 1\nstreams: {", "this is not YAML"),
    (changed(interval="30m"), "streams.tide.interval: the state was built on it"),
    (
        {**SMALL, "streams": {**SMALL["streams"], "huge": {"sources": [{"path": "huge.csv"}], **HUGE}}},
        "streams.huge.max_series is 4000000, but there is no memory for so many",
    ),
    ({**SMALL, "http": {"listen": "127.0.0.1:0", "web_config": "web.yml"}}, "web.yml: there is no such file"),
    ({**SMALL, "http": {"listen": "192.0.2.1:9898"}}, "http.listen is 192.0.2.1:9898"),
    ({**SMALL, "events": {"file": "/proc/none/e.jsonl"}, "http": {"listen": "127.0.0.2:0"}}, "/proc/none/e.jsonl"),
]


def test_a_bad_file_changes_nothing(daemon: Daemon, directory: Path) -> None:
    """500 says what is wrong, a metric does, the daemon goes on as before, and a good file is taken over after it."""
    name = "tidegauge_config_last_reload_successful"
    for config, problem in BAD:
        write(directory, config)
        status, text = reload(daemon)
        assert (status, problem in text) == (500, True), text
        until("the metric says so", lambda: daemon.metric(name) == {"": 0})
    with (directory / "tide.csv").open("a") as file:
        file.write("2026-03-01T02:00Z,7\n")
    until("it reads on", lambda: daemon.has_read(3))
    write(directory, changed(gap_after=5))
    assert reload(daemon) == (200, "The configuration was taken over.\n")
    until("the metric says so", lambda: daemon.metric(name) == {"": 1})
    assert daemon.said().count("listening address") == 1
    assert daemon.end(signal.SIGKILL) == -signal.SIGKILL
    with Daemon(directory / "tidegauge.yaml") as again:  # nothing of what was refused is in its way
        until("it reads on", lambda: again.loaded() and again.has_read(3))


def test_a_new_address_is_listened_on_and_the_old_one_left(daemon: Daemon, directory: Path) -> None:
    """`http.listen` moves; nothing else is touched."""
    before = daemon.address()
    write(directory, {**SMALL, "http": {"listen": "127.0.0.2:0"}})
    os.kill(daemon.pid, signal.SIGHUP)
    until("it says so", lambda: daemon.said().count("listening address") == 2)
    after = daemon.said().rpartition("address=")[2].split()[0]
    assert "127.0.0.2" in after
    assert "tidegauge_ready 1" in get(f"{after}/metrics")
    with pytest.raises(urllib.error.URLError):
        get(f"{before}/-/healthy")


def port(daemon: Daemon, source: str) -> int:
    """Where a source of the daemon listens."""
    found = re.findall(rf"source listens source={source} address=(\S+)", daemon.said())
    assert len(found) == 1, daemon.said()
    return int(found[0].strip('"').rpartition(":")[2])


def test_sources_that_did_not_change_stay_open(directory: Path) -> None:
    """Senders go on in their connections while policy, another source and streams change, and after a refusal."""
    net = [{"type": "tcp", "listen": "127.0.0.1:0"}, {"type": "udp", "listen": "127.0.0.1:0"}]
    sources = [*net, {"path": "tide.csv"}]
    form = {"columns": ["timestamp", "value"]}
    (directory / "tide.csv").write_text("2026-03-01T00:00Z,5\n")
    (directory / "more.csv").write_text("2026-03-01T01:00Z,5\n")
    more = changed(sources=[*net, {"path": "more.csv"}], format=form, alerts={"limits": {"max": 100}})
    more["streams"]["bus"] = {**SMALL["streams"]["tide"], "sources": [{"path": "bus.csv"}]}
    (directory / "bus.csv").write_text(LINES)
    write(directory, changed(sources=sources, format=form))
    with Daemon(directory / "tidegauge.yaml") as daemon:
        daemon.loaded()
        tcp, udp = port(daemon, "tide/0"), port(daemon, "tide/1")
        with (
            socket.create_connection(("127.0.0.1", tcp)) as sender,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        ):
            datagrams.connect(("127.0.0.1", udp))

            sender.sendall(b"2026-03-01T02")  # a line goes on across the reload
            until("the file", lambda: daemon.has_read(1))
            write(directory, more)
            assert reload(daemon)[0] == 200
            sender.sendall(b":00Z,7\n")
            datagrams.send(b"2026-03-01T03:00Z,700\n")
            until("both, the other file and the new stream", lambda: daemon.has_read(6))
            more["streams"]["tide"]["sources"] = [*net, {"type": "tcp", "listen": f"127.0.0.1:{tcp}"}]
            write(directory, more)
            status, text = reload(daemon)
            assert (status, f"127.0.0.1:{tcp}" in text) == (500, True), text
            sender.sendall(b"2026-03-01T04:00Z,8\n")
            datagrams.send(b"2026-03-01T05:00Z,9\n")
            (directory / "more.csv").write_text("2026-03-01T01:00Z,5\n2026-03-01T06:00Z,9\n")
            until("all, as before", lambda: daemon.has_read(9))
            assert (port(daemon, "tide/0"), port(daemon, "tide/1")) == (tcp, udp)
        assert daemon.metric("tidegauge_readings_accepted_total") == {'{stream="tide"}': 7, '{stream="bus"}': 2}
        assert daemon.metric("tidegauge_source_connections_accepted_total")['{source="tide/0"}'] == 1


def test_a_listener_reads_its_certificate_again(directory: Path) -> None:
    """SIGHUP alone, with the file as it was: a sender sees the renewed certificate."""
    authority = Authority(directory, "authority")
    pair = authority.issue("server")
    source = {"type": "tcp", "listen": "127.0.0.1:0", "tls": {"certificate": pair.certificate, "key": pair.key}}
    write(directory, changed(sources=[source], format={"columns": ["timestamp", "value"]}))
    context = ssl.create_default_context(cafile=authority.file)
    with Daemon(directory / "tidegauge.yaml") as started:
        started.loaded()
        address = re.search(r"source listens source=\S+ address=(\S+)", started.said())
        assert address
        port = int(address[1].strip('"').rpartition(":")[2])

        def serial() -> object:
            with (
                socket.create_connection(("127.0.0.1", port)) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as tls,
            ):
                return (tls.getpeercert() or {})["serialNumber"]

        before = serial()
        authority.issue("server")
        started.process.send_signal(signal.SIGHUP)
        until("the new certificate", lambda: serial() != before)


def test_a_signal_before_the_daemon_is_up_does_not_end_it(directory: Path) -> None:
    """SIGHUP at any instant of a start, from its first import on, leaves a daemon that runs and reloads."""
    with Daemon(directory / "tidegauge.yaml") as daemon:
        sent = 0
        while not daemon.said().count("state loaded"):  # every few milliseconds of its start
            if _begun(daemon.pid):
                os.kill(daemon.pid, signal.SIGHUP)
                sent += 1
            time.sleep(0.02)
            assert daemon.process.poll() is None, daemon.said()
        assert sent > 5
        daemon.loaded()
        until("it reloads", lambda: "configuration taken over" in daemon.said())


def _begun(pid: int) -> bool:
    """Whether the console script has taken the signal: before that it is Python that starts, not ours."""
    caught = re.search(r"SigCgt:\s*([0-9a-f]+)", Path(f"/proc/{pid}/status").read_text())
    assert caught
    return bool(int(caught[1], 16) >> (signal.SIGHUP - 1) & 1)


def test_nothing_is_taken_over_when_the_door_fails(tmp_path: Path) -> None:
    """The pipeline has gone over, then HTTP cannot: it goes back, and the reload is refused with the reason."""
    config = tmp_path / "tidegauge.yaml"
    write(tmp_path, SMALL)
    before = load(config, serving=True)
    write(tmp_path, changed(gap_after=9))
    taken: list[Settings] = []

    class Pipe:
        """A pipeline that does each call at once, and notes the settings it takes over."""

        settings = before

        def post(self, job: Callable[[Any], None]) -> None:
            job(self)

        def take_over(self, wanted: Settings) -> None:
            taken.append(wanted)
            self.settings = wanted

    class BrokenDoor:
        async def prepare(self, wanted: object) -> object:
            return wanted

        async def use(self, prepared: object) -> None:
            raise RuntimeError("no descriptor left")

    told: list[Settings] = []
    reloading = Reloader(config, Pipe(), BrokenDoor(), told.append)  # type: ignore[arg-type]
    with pytest.raises(ReloadRefusedError, match="no descriptor left; all is as it was before"):
        asyncio.run(reloading.ask())
    assert [each.streams["tide"].gap_after for each in taken] == [9, before.streams["tide"].gap_after]
    assert told == [before]
    assert not reloading.successful
