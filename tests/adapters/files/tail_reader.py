"""Reading a tail as the service does, and writing what it reads."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

from adapters.base import Position
from adapters.files.tail import FileTail
from adapters.formats.csv import CsvFormat

LINES = [f"a,{k},{k * 7}\n".encode() for k in range(1, 400)]


class Reader:
    """Reads a tail as the service does: keeps positions by place, and lets the test move the clock."""

    def __init__(self, pattern: Path, *, line_bytes: int = 1 << 20) -> None:
        self.pattern = pattern
        self.line_bytes = line_bytes
        self.now = 0.0
        self.positions: dict[str, Position] = {}
        self.text: dict[str, bytes] = {}
        self.order: list[str] = []
        self.discarded: dict[str, int] = {}
        self.start()

    def start(self) -> None:
        """Open, or open again from what was stored, as JSON would keep it."""
        self.tail = FileTail(
            "src", self.pattern, line_bytes=self.line_bytes, scan_every_s=0, monotonic=lambda: self.now
        )
        self.tail.open(self.positions)

    def restart(self, between: Callable[[], object] = lambda: None) -> None:
        self.tail.close()
        between()
        self.start()

    def read(self, *, limit_bytes: int = 1 << 20, polls: int = 4) -> bytes:
        """Poll a few times; what was new."""
        new = b""
        for _ in range(polls):
            for chunk in self.tail.poll(limit_bytes):
                assert chunk.data == b"" or chunk.data.endswith(b"\n")
                self.text[chunk.place] = self.text.get(chunk.place, b"") + chunk.data
                self.positions[chunk.place] = chunk.position_at(len(chunk.data), None)
                self.order += [chunk.place] if chunk.place not in self.order else []
                for reason, count in chunk.discarded.items():
                    self.discarded[reason] = self.discarded.get(reason, 0) + count
                new += chunk.data
            for place in self.tail.forgotten():
                self.positions.pop(place, None)
        return new

    def wait(self, seconds: float = 10) -> bytes:
        """Let time pass, then poll."""
        self.now += seconds
        return self.read()

    @property
    def all(self) -> bytes:
        return b"".join(self.text[place] for place in self.order)


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def descriptors() -> int:
    """How many this process has open, without those that nothing holds any more: of tests before, say."""
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


def lines(start: int, stop: int) -> bytes:
    return b"".join(LINES[start:stop])


def parsed(reader: Reader) -> tuple[list[tuple[str, float]], dict[str, int]]:
    """What CSV makes of what is new: series and value of each reading, and rejections by reason."""
    fmt = CsvFormat(time="timestamp", value=["value"], series="series")
    headers: dict[str, str | None] = {}
    accepted: list[tuple[str, float]] = []
    rejected: dict[str, int] = {}
    for _ in range(4):
        for chunk in reader.tail.poll(1 << 20):
            readings, header = fmt.parse(chunk.data, chunk.series, headers.get(chunk.place, chunk.header))
            headers[chunk.place] = header
            reader.positions[chunk.place] = chunk.position_at(len(chunk.data), header)
            accepted += [
                (readings.series[c], float(v[0])) for c, v in zip(readings.codes, readings.values, strict=True)
            ]
            rejected |= readings.rejected()
    return accepted, rejected
