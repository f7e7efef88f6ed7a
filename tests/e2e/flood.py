"""Lines without number over TCP: sent = accepted + rejected by reason + dropped by the kernel.

`make flood LINES=10000000` runs it by itself; the test runs a small one. The lines are made, not stored: each series
has a reading every half hour, and one line in twenty is garbage of a known kind.
"""

from __future__ import annotations

import re
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.e2e.processes import Daemon

SERIES = 2_000
FIRST_S = 1_700_000_000 // 1800 * 1800
GARBAGE: tuple[tuple[bytes, str], ...] = (
    (b"what is this", "malformed"),
    (b"%d,m,not a number", "bad_value"),
    (b"%d,m,", "missing_value"),
    (b"%d,m,inf", "not_finite"),
    (b"yesterday,m,1", "bad_time"),
    (b"%d,,1", "bad_series"),
    (b"\xff\xfe,m,1", "encoding"),
    (b"\x00\x00\x00\x00", "binary"),
    (b"x" * 5000, "too_long"),
    (b"%d,m,1,2,3", "malformed"),
)
CONFIGURATION = """\
version: 1
state_dir: state
streams:
  flood:
    sources: [{type: tcp, listen: "127.0.0.1:0"}]
    format: {columns: [timestamp, series, value], series: series}
    interval: 30m
    clock: event
    warm_up: 14d
    model: {retrain_every: 0}  # years of event time in minutes: the stream would wait for one training after the other
limits: {line_bytes: 4KiB}
events: {stdout: false}
http: {listen: "127.0.0.1:0"}
log: {format: plain}
"""


@dataclass(frozen=True)
class Flooded:
    """What was sent and what became of it.

    Attributes:
        sent: Lines.
        garbage: Lines sent that are none, by the reason they must be rejected for.
        accepted: Readings accepted.
        rejected: Lines rejected, by reason; reasons without any are left out.
        drops: Counted by the kernel.
        seconds: From the first line sent to the last one counted.
    """

    sent: int
    garbage: dict[str, int]
    accepted: int
    rejected: dict[str, int]
    drops: int
    seconds: float

    @property
    def whole(self) -> bool:
        """Whether every line sent is accounted for, by its reason."""
        return self.rejected == self.garbage and self.sent == self.accepted + sum(self.rejected.values()) + self.drops


def blocks(lines: int, garbage: Counter[str], each: int = 10_000) -> Iterator[bytes]:
    """So many lines in blocks; what is garbage among them is added to `garbage` before its block is given out."""
    made = good = 0
    while made < lines:
        block = []
        for number in range(made, min(made + each, lines)):
            if number % 20 == 19:
                text, reason = GARBAGE[number // 20 % len(GARBAGE)]
                garbage[reason] += 1
                block.append(text.replace(b"%d", b"%d" % FIRST_S))
            else:
                at, series = divmod(good, SERIES)
                block.append(b"%d,meter-%04d,%d.5" % (FIRST_S + 1800 * at, series, (7 * series + 3 * at) % 101))
                good += 1
        made += each
        yield b"\n".join(block) + b"\n"


def listens_at(daemon: Daemon) -> tuple[str, int]:
    """Where its source listens."""
    daemon.loaded()
    found = re.search(r"source listens .*address=(\S+):(\d+)", daemon.said())
    assert found, daemon.said()
    return found[1], int(found[2])


def flood(directory: Path, lines: int) -> Flooded:
    """Run a daemon in `directory`, send it so many lines over one connection, and wait until all are counted."""
    config = directory / "tidegauge.yaml"
    config.write_text(CONFIGURATION)
    garbage: Counter[str] = Counter()
    with Daemon(config) as daemon:
        address = listens_at(daemon)
        began = time.monotonic()
        with socket.create_connection(address) as peer:
            for block in blocks(lines, garbage):
                peer.sendall(block)
            peer.shutdown(socket.SHUT_WR)
            while peer.recv(100):  # the daemon closes when all is durable
                pass
        while not daemon.has_read(lines):
            time.sleep(0.5)
        seconds = time.monotonic() - began
        accepted = daemon.metric("tidegauge_readings_accepted_total")
        rejected = daemon.metric("tidegauge_readings_rejected_total")
        drops = daemon.metric("tidegauge_source_kernel_drops_total")
        assert daemon.end() == 0
    by_reason = {re.findall('reason="([a-z_]+)"', labels)[0]: int(count) for labels, count in rejected.items() if count}
    return Flooded(lines, dict(garbage), int(sum(accepted.values())), by_reason, int(sum(drops.values())), seconds)


def main(lines: int) -> int:
    """Flood a daemon and say what became of the lines; 1 when one is unaccounted for."""
    with TemporaryDirectory() as directory:
        result = flood(Path(directory), lines)
    sys.stdout.write(
        f"sent {result.sent}, accepted {result.accepted}, rejected {sum(result.rejected.values())} "
        f"({', '.join(f'{count} {reason}' for reason, count in sorted(result.rejected.items()))}), "
        f"dropped by the kernel {result.drops}, in {result.seconds:.0f} s\n"
        f"{'every line is accounted for' if result.whole else f'expected rejections: {result.garbage}'}\n"
    )
    return int(not result.whole)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
