"""Files and the reader's life in any order: every reading is read once, in the order it was written.

CI takes the same few hundred sequences each time; `make fuzz` takes random ones, a tenth of FUZZ_EXAMPLES.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from adapters.base import Position
from adapters.files.tail import FileTail
from adapters.formats.csv import CsvFormat
from daemon.config.format_settings import FormatSettings
from daemon.intake.intake import Intake

SOURCE = "tide/0"
START_S, HOUR_S = 1_767_225_600, 3600
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # nothing here tests the disk


def line(number: int) -> bytes:
    """Reading `number`."""
    return b"%d,%d\n" % (START_S + number * HOUR_S, number * number % 17)


class Files(RuleBasedStateMachine):
    """A writer that rotates and deletes, and a reader that polls, dies and comes back to what it had kept.

    Excused, so that they may be lost, are the readings of a file that is deleted, or rotated by a path that is not
    known, while nobody has it open; and of one that is truncated in place at such a path. A path is known when
    something of it was read, be it the header line.
    """

    descriptors: int | None = None

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="tidegauge-order-", dir=MEMORY))
        self.path = self.directory / "meter.csv"
        self.now, self.next, self.partial, self.rotations = 0.0, 0, b"", 0
        self.changes = 0
        self.content: list[int] = []
        """Readings in the file of that name now."""
        self.unlinked: set[int] = set()
        """Readings in files that only an open descriptor reaches."""
        self.excused: set[int] = set()
        self.read: list[int] = []
        self.rejected: Counter[str] = Counter()
        self.positions: dict[str, Position] = {}
        """What the journal keeps with the readings, all of it or nothing."""
        self.intake: Intake | None = None

    # -- the reader

    @initialize()
    def start(self) -> None:
        self.tail = FileTail(
            SOURCE, self.path, scan_every_s=0, descriptors=self.descriptors, monotonic=lambda: self.now
        )
        self.intake = Intake("tide", [self.tail], CsvFormat(time="timestamp", value=["value"]), FormatSettings())
        self.intake.open({SOURCE: json.loads(json.dumps(self.positions))})

    @precondition(lambda self: self.intake is not None)
    @rule(turns=st.integers(1, 4))
    def turn(self, turns: int) -> None:
        assert self.intake is not None
        for _ in range(turns):
            taken = self.intake.poll(0)
            if taken is not None:
                self.read += [(int(at) // 1000 - START_S) // HOUR_S for at in taken.batch.at_ms]
                self.rejected.update(dict(taken.batch.rejected))
                self.positions.update(taken.positions.get(SOURCE, {}))
            for _, place in self.intake.forgotten():
                self.positions.pop(place, None)

    @precondition(lambda self: self.intake is not None)
    @rule(seconds=st.sampled_from([1, 4, 20]))
    def wait(self, seconds: int) -> None:
        self.now += seconds
        self.turn(1)

    @precondition(lambda self: self.intake is not None)
    @rule()
    def kill(self) -> None:
        assert self.intake is not None
        self.intake.close()
        self.intake = None
        if not self._known():
            self.excused |= set(range(self.next)) - set(self.content)
        self.excused |= self.unlinked
        self.unlinked = set()

    @precondition(lambda self: self.intake is None)
    @rule()
    def restart(self) -> None:
        self.start()

    # -- the writer

    @rule(count=st.integers(1, 5))
    def write(self, count: int) -> None:
        data = b"".join(line(self.next + k) for k in range(count)).removeprefix(self.partial)
        self._append(self.path, data)
        self.content += range(self.next, self.next + count)
        self.next, self.partial = self.next + count, b""

    @precondition(lambda self: not self.path.exists())
    @rule()
    def write_header(self) -> None:
        self._append(self.path, b"")

    @precondition(lambda self: self.content and not self.partial)
    @rule(length=st.integers(1, 8))
    def write_partial(self, length: int) -> None:
        self.partial = line(self.next)[:length]
        self._append(self.path, self.partial)

    @precondition(lambda self: self.path.exists())
    @rule(late=st.booleans())
    def rotate(self, late: bool) -> None:
        self._complete()
        if not (self._known() or self._is_open()):
            self.excused.update(self.content + ([self.next] if late else []))
        self.path.rename(renamed := self._rotated())
        if late:
            self._append(renamed, line(self.next))
            self.next += 1
        self.content = []

    @precondition(lambda self: self.path.exists())
    @rule()
    def copytruncate(self) -> None:
        self._complete()
        if not self._known():
            self.excused.update(self.content)
        shutil.copyfile(self.path, copy := self._rotated())
        self._changed(copy)
        self.path.write_bytes(b"")
        self._changed(self.path)
        self.content = []

    @precondition(lambda self: self.path.exists())
    @rule()
    def delete(self) -> None:
        self._complete()
        (self.unlinked if self._is_open() else self.excused).update(self.content)
        self.path.unlink()
        self.content = []

    def _append(self, path: Path, data: bytes) -> None:
        with path.open("ab") as file:
            file.write((b"" if file.tell() else b"timestamp,value\n") + data)
        self._changed(path)

    def _changed(self, path: Path) -> None:
        """Give a file the time of this change: a system's clock may be too coarse to tell two of them apart."""
        self.changes += 1
        os.utime(path, ns=(0, 10**18 + int(self.now * 10**9) + self.changes * 10**6))

    def _complete(self) -> None:
        if self.partial:
            self.write(1)

    def _rotated(self) -> Path:
        self.rotations += 1
        return self.path.with_name(f"meter.csv.{self.rotations:06d}")

    def _known(self) -> bool:
        """Whether the place of a rotated file among what was read can be told."""
        return bool(self.positions)

    def _is_open(self) -> bool:
        """Whether the reader has the file of that name open."""
        return self.intake is not None and any(
            one.samefile(self.path) for one in Path("/proc/self/fd").iterdir() if one.exists()
        )

    # -- what must hold

    def teardown(self) -> None:
        try:
            if self.intake is None:
                self.start()
            self.write(1)  # what was rotated while the name was missing is read once it is there again
            for _ in range(self.rotations + 6):
                self.wait(20)
                self.turn(2)
            assert not [number for number, count in Counter(self.read).items() if count > 1]
            assert self.read == sorted(self.read)
            assert set(range(self.next)) - set(self.read) <= self.excused
            assert not self.rejected
        finally:
            if self.intake is not None:
                self.intake.close()
            shutil.rmtree(self.directory)


class FewDescriptors(Files):
    """The same where files that were read to their end are closed, and opened again when they have changed."""

    descriptors = 1


FUZZED = int(os.environ.get("FUZZ_EXAMPLES", "0")) // 10
TestFiles = Files.TestCase
TestFiles.settings = settings(max_examples=FUZZED or 300, stateful_step_count=25, deadline=None, derandomize=not FUZZED)
TestFewDescriptors = FewDescriptors.TestCase
TestFewDescriptors.settings = TestFiles.settings
