"""From the configuration to sources that listen: every key arrives where it works."""

from __future__ import annotations

import re
import socket
import ssl
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adapters.base import Live
from adapters.uploads.inbox import Inboxes
from daemon.config.file import load
from daemon.intake.intake import Intake
from tests.adapters.sockets.certificates import Authority
from tests.adapters.sockets.peers import until
from tests.conftest import ROOT

LINE = b"2024-05-01T10:00:00Z,a,1\n"


@contextmanager
def configured(directory: Path, source: str) -> Iterator[tuple[Intake, Any]]:
    """The open intake of a stream with one source."""
    path = directory / "tidegauge.yaml"
    path.write_text(
        "version: 1\nstreams:\n  meters:\n"
        "    format: {columns: [timestamp, series, value], series: series}\n"
        f"    sources: [{source}]\n"
    )
    settings = load(path, serving=True)
    intake = Intake.of("meters", settings.streams["meters"], settings.limits, Inboxes())
    intake.open({})
    try:
        (listener,) = intake.sources
        assert isinstance(listener, Live)
        yield intake, listener
    finally:
        intake.close()


def port(source: Live) -> int:
    return int(source.address.rsplit(":", 1)[1])


def taken(intake: Intake) -> int:
    """Readings of the next batch, which is durable then."""
    batch = until(lambda: intake.poll(0))
    intake.committed(batch)
    assert batch.positions == {}, "nothing resumes from a socket"
    return len(batch.batch)


def test_tcp(tmp_path: Path) -> None:
    """Answers, the limit of connections and the networks are those of the configuration."""
    source_text = "{type: tcp, listen: '127.0.0.1:0', ack: true, max_connections: 1}"
    with (
        configured(tmp_path, source_text) as (intake, source),
        socket.create_connection(("127.0.0.1", port(source))) as peer,
    ):
        peer.sendall(LINE + LINE)
        assert taken(intake) == 2
        assert peer.recv(100) == b"ok 2\n"
        with socket.create_connection(("127.0.0.1", port(source))):
            until(lambda: intake.poll(0) is None and intake.status()["meters/0"]["refused_limit"] == 1)
    with (
        configured(tmp_path, "{type: tcp, listen: '127.0.0.1:0', allow: [192.0.2.7]}") as (intake, source),
        socket.create_connection(("127.0.0.1", port(source))),
    ):
        until(lambda: intake.poll(0) is None and intake.status()["meters/0"]["refused_network"] == 1)


def test_each_connection_has_its_own_header(tmp_path: Path) -> None:
    """Two senders with columns in another order are both understood; the header of one says nothing about the other."""
    with configured(tmp_path, "{type: tcp, listen: '127.0.0.1:0'}") as (_, source):
        assert source.address
    path = tmp_path / "tidegauge.yaml"
    path.write_text(path.read_text().replace("columns: [timestamp, series, value], ", ""))
    settings = load(path, serving=True)
    intake = Intake.of("meters", settings.streams["meters"], settings.limits, Inboxes())
    intake.open({})
    (live,) = intake.sources
    assert isinstance(live, Live)
    with (
        socket.create_connection(("127.0.0.1", port(live))) as one,
        socket.create_connection(("127.0.0.1", port(live))) as two,
    ):
        one.sendall(b"timestamp,series,value\n1714557600,a,1\n")
        two.sendall(b"value,timestamp,series\n2,1714557600,b\n")
        batches = [until(lambda: intake.poll(0)).batch]
        if len(batches[0]) < 2:
            batches.append(until(lambda: intake.poll(0)).batch)
    intake.close()
    found = {batch.series[code]: batch.values[i, 0] for batch in batches for i, code in enumerate(batch.codes)}
    assert found == {"a": 1.0, "b": 2.0}


def test_tls(tmp_path: Path) -> None:
    """Paths of certificates are relative to the file; who has one is heard, others are not; reload reads again."""
    authority = Authority(tmp_path, "authority")
    authority.issue("server")
    meter = authority.issue("meter")
    tls = "tls: {certificate: server.crt, key: server.key, client_ca: authority.pem}"
    with configured(tmp_path, f"{{type: tcp, listen: '127.0.0.1:0', {tls}}}") as (intake, source):

        def send(context: ssl.SSLContext) -> None:
            with socket.create_connection(("127.0.0.1", port(source))) as plain:
                try:
                    with context.wrap_socket(plain, server_hostname="localhost") as peer:
                        peer.sendall(LINE)
                except OSError:
                    pass

        known = ssl.create_default_context(cafile=authority.file)
        known.load_cert_chain(meter.certificate, meter.key)
        for context in (known, ssl.create_default_context(cafile=authority.file)):
            thread = threading.Thread(target=send, args=(context,))
            thread.start()
            if context is known:
                assert taken(intake) == 1
            else:
                until(lambda: intake.poll(0) is None and intake.status()["meters/0"]["refused_certificate_missing"])
            thread.join()
        intake.reload(["meters/0"])
        (tmp_path / "server.crt").write_text("")
        try:
            intake.reload(["meters/0"])
        except OSError as error:
            assert "server.crt" in str(error)
        else:
            raise AssertionError("an empty certificate was taken")


def test_udp(tmp_path: Path) -> None:
    """Datagrams arrive."""
    with (
        configured(tmp_path, "{type: udp, listen: '127.0.0.1:0'}") as (intake, source),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer,
    ):
        peer.sendto(LINE, ("127.0.0.1", port(source)))
        assert taken(intake) == 1


def test_unix(tmp_path: Path) -> None:
    """The path is relative to the file, the mode is that of the configuration."""
    with (
        configured(tmp_path, "{type: unix, path: sock, mode: '600'}") as (intake, source),
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer,
    ):
        assert source.address == str(tmp_path / "sock")
        assert stat.S_IMODE((tmp_path / "sock").stat().st_mode) == 0o600
        peer.connect(source.address)
        peer.sendall(LINE)
        assert taken(intake) == 1


def test_the_documented_sender(tmp_path: Path) -> None:
    """The example of docs/sources.md sends its readings and ends when they are durable."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/sources.md").read_text(), re.DOTALL)
    with configured(tmp_path, "{type: tcp, listen: '127.0.0.1:0', ack: true}") as (intake, source):
        sender = subprocess.Popen([sys.executable, "-c", code.replace("9899", str(port(source)))])
        assert taken(intake) == 2
        until(lambda: intake.poll(0) is None and sender.poll() is not None)
        assert sender.returncode == 0
