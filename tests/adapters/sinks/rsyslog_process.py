"""A real rsyslog on the loopback, which writes what it receives to a file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from tests.adapters.sockets.certificates import Authority
from tests.conftest import missing
from tests.server_process import ServerProcess

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


class RsyslogProcess(ServerProcess):
    """One that keeps its file over several lives.

    Args:
        directory: For its files.
        authority: Of its certificate and of its clients'; None: no TLS.
    """

    program = "rsyslogd"

    def __init__(self, directory: Path, authority: Authority | None = None) -> None:
        super().__init__(directory)
        self._file, self._config = directory / "received", directory / "rsyslog.conf"
        certificates = driver = ""
        if authority is not None:
            if not list(Path("/usr/lib").glob("*/rsyslog/lmnsd_gtls.so")):
                missing("rsyslog-gnutls is not installed (.ci/run installs it)")
            pair, driver = authority.issue("receiver"), DRIVER
            certificates = CERTIFICATES.format(ca=authority.file, certificate=pair.certificate, key=pair.key)
        text = CONFIG.format(
            directory=directory, file=self._file, port=self.port, certificates=certificates, driver=driver
        )
        self._config.write_text(text)

    def arguments(self) -> list[str]:
        """See `ServerProcess.arguments`."""
        pid = self.directory / "rsyslog.pid"
        pid.unlink(missing_ok=True)
        return ["-n", "-f", str(self._config), "-i", str(pid)]

    def received(self) -> list[Logged]:
        """What it has received in all its lives, in order."""
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        return [_logged(line) for line in lines if "tidegauge" in line]

    def ids(self) -> list[str]:
        """Ids of the events received."""
        return [each.data["id"] for each in self.received()]


def _logged(line: str) -> Logged:
    priority, host, app, kind, element, text = line.split("\t", 5)
    return Logged(int(priority), host, app, kind, parameters(element), text)


def parameters(element: str) -> dict[str, str]:
    """The parameters of one element of structured data, unescaped as RFC 5424 says."""
    assert element.startswith("[tidegauge@32473 ")
    found = re.findall(r' (\w+)="((?:[^"\\\]]|\\.)*)"', element)
    assert "[tidegauge@32473" + "".join(f' {name}="{value}"' for name, value in found) + "]" == element
    return {name: re.sub(r'\\(["\\\]])', r"\1", value) for name, value in found}
