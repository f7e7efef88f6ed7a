"""A real rsyslog on the loopback, which writes what it receives to a file."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from pathlib import Path
from typing import NamedTuple, Self

from tests.adapters.sockets.certificates import Authority
from tests.conftest import missing, need
from tests.e2e.processes import until

CONFIG = """\
global(workDirectory="{directory}" maxMessageSize="64k"{certificates})
module(load="imudp")
module(load="imtcp"{driver})
input(type="imudp" address="127.0.0.1" port="{port}")
input(type="imtcp" address="127.0.0.1" port="{port}")
template(name="parts" type="string" string="%pri%\\t%hostname%\\t%app-name%\\t%msgid%\\t%structured-data%\\t%msg%\\n")
action(type="omfile" file="{file}" template="parts" asyncWriting="off")
"""
CERTIFICATES = """
  defaultNetstreamDriverCAFile="{ca}"
  defaultNetstreamDriverCertFile="{certificate}" defaultNetstreamDriverKeyFile="{key}"
"""
DRIVER = ' streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="x509/certvalid"'


class Logged(NamedTuple):
    """A message as rsyslog understood it."""

    priority: int
    host: str
    app: str
    kind: str
    data: dict[str, str]
    text: str


class RsyslogProcess:
    """One that keeps its port and its file over several lives.

    Args:
        directory: For its files.
        authority: Of its certificate and of its clients'; None: no TLS.
    """

    def __init__(self, directory: Path, authority: Authority | None = None) -> None:
        self._program = need("rsyslogd")
        self._directory, self._file = directory, directory / "received"
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        certificates = driver = ""
        if authority is not None:
            if not list(Path("/usr/lib").glob("*/rsyslog/lmnsd_gtls.so")):
                missing("rsyslog-gnutls is not installed (.ci/run installs it)")
            pair, driver = authority.issue("receiver"), DRIVER
            certificates = CERTIFICATES.format(ca=authority.file, certificate=pair.certificate, key=pair.key)
        text = CONFIG.format(
            directory=directory, file=self._file, port=self.port, certificates=certificates, driver=driver
        )
        (directory / "rsyslog.conf").write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        pid = self._directory / "rsyslog.pid"
        pid.unlink(missing_ok=True)
        command = [str(self._program), "-n", "-f", str(self._directory / "rsyslog.conf"), "-i", str(pid)]
        with (self._directory / "rsyslog.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until("rsyslog listens", self._listens)

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._directory / "rsyslog.log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def received(self) -> list[Logged]:
        """What it has received in all its lives, in order."""
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        return [_logged(line) for line in lines if "tidegauge" in line]

    def ids(self) -> list[str]:
        """Ids of the events received."""
        return [each.data["id"] for each in self.received()]

    def stall(self, *, on: bool = True) -> None:
        """Have it do nothing, as a machine does whose disk hangs, or go on."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP if on else signal.SIGCONT)

    def kill(self) -> None:
        """As `kill -9` does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def _logged(line: str) -> Logged:
    priority, host, app, kind, element, text = line.split("\t", 5)
    return Logged(int(priority), host, app, kind, parameters(element), text)


def parameters(element: str) -> dict[str, str]:
    """The parameters of one element of structured data, unescaped as RFC 5424 says."""
    assert element.startswith("[tidegauge@32473 ")
    found = re.findall(r' (\w+)="((?:[^"\\\]]|\\.)*)"', element)
    assert "[tidegauge@32473" + "".join(f' {name}="{value}"' for name, value in found) + "]" == element
    return {name: re.sub(r'\\(["\\\]])', r"\1", value) for name, value in found}
