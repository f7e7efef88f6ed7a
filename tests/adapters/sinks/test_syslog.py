"""Events as syslog: at least once and in order, to a real rsyslog over UDP, TCP and TLS, whatever happens to it."""

from __future__ import annotations

import errno
import io
import json
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.sinks.syslog import Syslog
from adapters.sinks.syslog_link import DatagramLink, StreamLink
from daemon.config.sink_settings import EventSettings
from daemon.service.delivery import Delivery
from daemon.store import Store
from tests.adapters.sinks.rsyslog_process import RsyslogProcess, parameters
from tests.adapters.sinks.syslog_receiver import SyslogReceiver
from tests.adapters.sockets.certificates import Authority
from tests.daemon.store.contents import event
from tests.e2e.processes import until

NOW = 1_785_000_000.25


def line(id_: str, **changes: Any) -> bytes:
    return json.dumps(replace(event(id_), **changes).to_json()).encode()


def over_tcp(port: int, timeout_s: float = 5.0, tls: ssl.SSLContext | None = None) -> Syslog:
    return Syslog(StreamLink("127.0.0.1", port, timeout_s, tls), "local3", "tide.example", lambda: NOW)


@pytest.fixture
def receiver() -> Iterator[SyslogReceiver]:
    with SyslogReceiver() as running:
        yield running


@pytest.fixture
def rsyslog(tmp_path: Path) -> Iterator[RsyslogProcess]:
    with RsyslogProcess(tmp_path) as running:
        yield running


def test_a_message_is_as_rfc_5424_has_it(receiver: SyslogReceiver) -> None:
    """Priority, version, instant, host, application and kind; structured data with the escapes; a sentence."""
    series = 'zähler "1" \\ [2]'
    over_tcp(receiver.port).deliver([line("a", series=series, score=3.25, value=(25.0,), members=None)])
    (message,) = receiver.messages
    head, _, rest = message.decode().partition(" [")
    pattern = r"<154>1 2026-07-25T17:20:00\.250Z tide\.example tidegauge \d+ open"
    assert re.fullmatch(pattern, head)
    element, _, text = f"[{rest}".partition('"] ')
    found = parameters(element + '"]')
    assert found["series"] == series
    assert {key: found[key] for key in ("id", "revision", "state", "stream", "reasons", "severity")} == {
        "id": "a", "revision": "0", "state": "open", "stream": "taxi", "reasons": "model,limit", "severity": "critical",
    }  # fmt: skip
    assert (found["started_at"], found["score"], found["value"]) == ("1970-01-01T00:01:40.000Z", "3.25", "25")
    assert text.startswith(f"{series} of taxi is odd: model, limit; score 3.25, value 25")


@pytest.mark.parametrize(
    ("changes", "severity", "priority", "words"),
    [
        ({"reasons": ("model",), "members": None}, "warning", 156, "m1 of taxi is odd: model"),
        ({}, "critical", 154, "m1 of taxi is odd: model, limit"),
        ({"notify": False}, "critical", 157, "m1 of taxi is odd"),
        ({"state": "closed", "notify": False}, "critical", 158, "m1 of taxi is as usual again"),
        ({"series": None, "reasons": ("gap",)}, "critical", 154, "taxi stopped reporting: gap"),
        ({"state": "closed", "reasons": ("gap",), "members": None}, "warning", 158, "m1 of taxi reports again: gap"),
        ({"reasons": ("drift",), "notify": False}, "info", 157, "m1 of taxi has a new normal: drift"),
    ],
)
def test_how_severe_it_is(
    changes: dict[str, Any], severity: str, priority: int, words: str, receiver: SyslogReceiver
) -> None:
    """As bad as the event is, where it should wake somebody; less where it is held back, least at its end."""
    over_tcp(receiver.port).deliver([line("a", **changes)])
    (message,) = receiver.messages
    assert message.startswith(b"<%d>1 " % priority)
    assert f'severity="{severity}"' in message.decode()
    assert f"] {words}" in message.decode()


def test_names_cannot_make_lines_or_hosts(receiver: SyslogReceiver) -> None:
    """What is not printable is escaped in the sentence; a host with a blank is none."""
    sink = Syslog(StreamLink("127.0.0.1", receiver.port, 5), "user", "my host\n", lambda: NOW)
    sink.deliver([line("a", series="x\n<0>1 - - - - - - forged")])
    (message,) = receiver.messages
    assert b"Z - tidegauge" in message
    assert rb"] x\n<0>1 " in message


@pytest.mark.parametrize("way", ["close", "part", "stall"])
def test_a_receiver_that_does_not_read_to_the_end_is_sent_it_again(way: str, receiver: SyslogReceiver) -> None:
    """One that closes at once, after a part, or that stalls: OSError in time, and nothing counts as sent."""
    sink, lines = over_tcp(receiver.port, 0.5), [line(str(n), series="x" * 200) for n in range(50)]
    receiver.ways = [way]
    with pytest.raises(OSError, match=r"closed before|reset|within 0\.5 s|Broken pipe|not connected"):
        sink.deliver(lines)
    receiver.let_go.set()
    sink.deliver(lines)
    assert [re.findall(rb' id="(\d+)"', each) for each in receiver.messages] == [[b"%d" % n] for n in range(50)]


class Distant:
    """A connection over a slow network whose other side closed before anything came: its reset is still on the way."""

    def __init__(self, *_: object, **__: object) -> None:
        self.states = [8, 9, 9, 7]  # CLOSE_WAIT, LAST_ACK, CLOSE

    def __enter__(self) -> Distant:
        return self

    def __exit__(self, *_: object) -> None: ...

    def settimeout(self, seconds: float) -> None: ...

    def sendall(self, data: bytes) -> None: ...

    def shutdown(self, how: int) -> None: ...

    def recv(self, size: int) -> bytes:
        return b""

    def getsockopt(self, level: int, option: int, size: int = 0) -> bytes | int:
        if option == socket.TCP_INFO:
            return bytes([self.states.pop(0)])
        return errno.ECONNRESET if not self.states else 0


def test_an_end_that_comes_before_the_reset_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver that closed too early, far away: its end comes first, and what was sent does not count for that."""
    monkeypatch.setattr(socket, "create_connection", Distant)
    with pytest.raises(OSError, match="closed before it had read all of them"):
        over_tcp(1).deliver([line("a")])


@pytest.mark.parametrize("kind", ["udp", "tcp"])
def test_nobody_there_is_an_error(kind: str) -> None:
    """A port that nobody listens on: the event waits, over UDP too, as far as this machine can tell."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    link = DatagramLink("127.0.0.1", port) if kind == "udp" else StreamLink("127.0.0.1", port, 5)
    with pytest.raises(OSError, match="refused"):
        Syslog(link, "daemon", "h").deliver([line("a")])


def test_what_no_datagram_can_hold_is_left_out_and_counted() -> None:
    """It would be refused each time, and holds up none behind it."""
    with socket.socket(type=socket.SOCK_DGRAM) as inbox:
        inbox.bind(("127.0.0.1", 0))
        sink = Syslog(DatagramLink("127.0.0.1", inbox.getsockname()[1]), "daemon", "h")
        sink.deliver([line("a"), line("b", series="x" * 70_000), line("c")])
        assert [re.findall(rb' id="(\w)"', inbox.recv(65536)) for _ in range(2)] == [[b"a"], [b"c"]]
    assert sink.status() == {"refused": 1}


def test_rsyslog_understands_all_of_it_over_udp_and_tcp(rsyslog: RsyslogProcess) -> None:
    """A real rsyslog has each message once, in order, with its structured data, whatever a series is called."""
    series = 'zähler "1" \\ [2]'
    lines = [line(str(n), series=series, members=None) for n in range(120)]
    sink = over_tcp(rsyslog.port)
    sink.deliver(lines[:100])
    sink.deliver(lines[100:])
    until("all came", lambda: len(rsyslog.received()) == 120)
    Syslog(DatagramLink("127.0.0.1", rsyslog.port), "local3", "tide.example").deliver([line("last", series=series)])
    until("the datagram came", lambda: len(rsyslog.received()) == 121)
    assert rsyslog.ids() == [*map(str, range(120)), "last"]
    assert {each.data["series"] for each in rsyslog.received()} == {series}
    first = rsyslog.received()[0]
    assert (first.priority, first.host, first.app, first.kind) == (154, "tide.example", "tidegauge", "open")
    assert first.text.startswith(f"{series} of taxi is odd: model, limit")


def test_rsyslog_over_tls(tmp_path: Path) -> None:
    """With the receiver's authority and a certificate of its own it is delivered; a stranger's is not, nor without."""
    authority, stranger = Authority(tmp_path, "authority"), Authority(tmp_path, "stranger")
    pair, other = authority.issue("sender"), stranger.issue("other")
    known = ssl.create_default_context(cafile=authority.file)
    known.load_cert_chain(pair.certificate, pair.key)
    odd = ssl.create_default_context(cafile=authority.file)
    odd.load_cert_chain(other.certificate, other.key)
    bare = ssl.create_default_context(cafile=authority.file)
    distrustful = ssl.create_default_context(cafile=stranger.file)
    with RsyslogProcess(tmp_path, authority) as rsyslog:
        for context in (odd, bare, distrustful):
            with pytest.raises(OSError, match=r"closed before|reset|[Bb]roken|certificate|EOF|alert|not connected"):
                over_tcp(rsyslog.port, tls=context).deliver([line("lost")])
        over_tcp(rsyslog.port, tls=known).deliver([line("a"), line("b")])
        until("both came", lambda: rsyslog.ids() == ["a", "b"])


def test_an_rsyslog_that_stalls_or_is_killed_misses_nothing(rsyslog: RsyslogProcess) -> None:
    """Stopped, it is given up in time, and has all of it later, perhaps twice; killed and started again, too."""
    sink = over_tcp(rsyslog.port, 0.5)
    sink.deliver([line("a")])
    until("it came", lambda: rsyslog.ids() == ["a"])
    rsyslog.stall()
    with pytest.raises(OSError, match=r"within 0\.5 s"):
        sink.deliver([line("b"), line("c")])
    rsyslog.go_on()
    over_tcp(rsyslog.port).deliver([line("b"), line("c")])
    until("c came", lambda: "c" in rsyslog.ids())
    rsyslog.end()
    with pytest.raises(OSError, match="refused"):
        sink.deliver([line("d")])
    rsyslog.start()
    over_tcp(rsyslog.port).deliver([line("d")])
    until("d came", lambda: "d" in rsyslog.ids())
    assert list(dict.fromkeys(rsyslog.ids())) == ["a", "b", "c", "d"], "each, in order of its first coming"


def test_a_daemon_goes_on_beside_an_rsyslog_that_stalls_and_dies(tmp_path: Path, rsyslog: RsyslogProcess) -> None:
    """The other sinks have everything meanwhile; rsyslog has it later, in order, and what a next run records too."""
    file = tmp_path / "events.jsonl"
    syslog = {"url": f"tcp://127.0.0.1:{rsyslog.port}", "timeout": 1, "send": "all"}
    settings = EventSettings.model_validate({"stdout": False, "file": file, "syslog": [syslog]})

    def begun() -> Delivery:
        delivery = Delivery(store, io.BytesIO())
        delivery.take_over(delivery.prepare(settings))
        return delivery

    with Store.open(tmp_path / "state") as store:
        delivery = begun()
        rsyslog.stall()
        store.record_events([event("a"), event("b")])
        delivery.wake()
        until("the file", lambda: file.exists() and file.read_bytes().count(b"\n") == 2)
        until("a failure", lambda: delivery.status()[f"file:{file}"]["waiting"] == 0 and failures(delivery))
        rsyslog.end()
        store.record_events([event("c")])
        delivery.wake()
        rsyslog.start()
        until("c came", lambda: "c" in rsyslog.ids())
        delivery.close()
        again = begun()
        store.record_events([event("d")])
        again.close()
    until("d came", lambda: "d" in rsyslog.ids())
    assert list(dict.fromkeys(rsyslog.ids())) == ["a", "b", "c", "d"]
    assert rsyslog.ids().count("d") == 1


def failures(delivery: Delivery) -> float:
    """How often the syslog sink has failed."""
    return next(each["failures"] for name, each in delivery.status().items() if name.startswith("syslog:"))
