"""Documents dropped into a directory: each read whole, once it is quiet, once, and from where a restart left it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.base import Chunk, DocumentError, Progress, Readings
from adapters.files.documents import DocumentFiles
from adapters.formats.meter_rows import MeterRows
from adapters.formats.nem12 import Nem12Format

DAY = ",".join(["1"] * 48)


def text_of(days: int, nmi: str = "6001") -> str:
    rows = "".join(f"300,202401{day + 1:02},{DAY},A,,,,\n" for day in range(days))
    return f"100,NEM12,202404010000,A,B\n200,{nmi},E1,1,E1,N1,S,kWh,30,\n{rows}900\n"


class Small:
    """NEM12 in pieces of a day, so that a document has several."""

    width = 1

    def read(self, path: Path, progress: Progress = lambda done, total: None) -> Iterator[Readings]:
        for piece in Nem12Format().read(path):
            for start in range(0, len(piece), 48):
                pieces, part = MeterRows(256), slice(start, start + 48)
                ok = piece.codes[part].astype("uint8") * 0 + 255
                pieces.add("m", piece.at_ms[part], piece.values[part, 0], piece.quality[part], ok)
                yield pieces.drain()


class Drop:
    """A directory, a clock, and a source that reads what is put there."""

    def __init__(self, folder: Path, fmt: Any = None) -> None:
        self.folder, self.now, self.said = folder, 1000.0, list[str]()
        self.fmt = fmt or Small()
        self.positions: dict[str, Any] = {}
        self.restart()

    def restart(self) -> None:
        self.source = DocumentFiles(
            *("a/0", self.folder / "*.csv", self.fmt),
            settle_s=5.0,
            scan_every_s=0.0,
            notice=lambda cause, message, **fields: self.said.append(str(fields["error"])),
            monotonic=lambda: self.now,
            wall=lambda: self.now,
        )
        self.source.open(self.positions)

    def put(self, name: str, text: str, at: float | None = None) -> None:
        path = self.folder / name
        path.write_text(text)
        os.utime(path, ns=(0, int((self.now if at is None else at) * 1e9)))

    def read(self, most: int = 100) -> list[Chunk]:
        """Chunks until nothing comes, their positions kept."""
        found: list[Chunk] = []
        while len(found) < most and (chunks := self.source.poll(1 << 20)):
            for chunk in chunks:
                self.positions[chunk.place] = chunk.position_at(chunk.length, None)
            found += chunks
        for place in self.source.forgotten():
            del self.positions[place]
        return found


def rows(chunks: list[Chunk]) -> int:
    return sum(len(chunk.parsed) for chunk in chunks if chunk.parsed is not None)


def test_a_document_is_read_once_it_is_quiet(tmp_path: Path) -> None:
    """A file that still changes waits; a quiet one is read whole, once, and not again after a restart."""
    drop = Drop(tmp_path)
    drop.put("1.csv", text_of(1))
    assert drop.read() == []
    assert drop.source.status() == {"up": 1.0, "lag_bytes": float((tmp_path / "1.csv").stat().st_size), "files": 1.0}
    drop.now += 3
    drop.put("1.csv", text_of(3))  # written on
    drop.now += 4
    assert drop.read() == []
    drop.now += 2
    assert rows(drop.read()) == 3 * 48
    assert drop.source.status()["lag_bytes"] == 0.0
    drop.restart()
    drop.now += 100
    assert drop.read() == []


def test_documents_come_oldest_first_and_one_at_a_time(tmp_path: Path) -> None:
    """What waited while nobody ran is read in the order of its changes; a place is in the backlog while it is read."""
    drop = Drop(tmp_path)
    drop.put("b.csv", text_of(2), at=1.0)
    drop.put("a.csv", text_of(1), at=2.0)
    first = drop.read(1)
    assert drop.source.backlog() == {first[0].place}
    assert [Path(chunk.path).name for chunk in first + drop.read()] == ["b.csv", "b.csv", "a.csv"]
    assert drop.source.backlog() == frozenset()


@pytest.mark.parametrize("taken", [1, 2, 3])
def test_a_document_goes_on_where_a_restart_left_it(tmp_path: Path, taken: int) -> None:
    """The rows after the last position, whatever row of a piece that is, and none before it."""
    drop = Drop(tmp_path)
    drop.put("1.csv", text_of(3), at=1.0)
    chunks = drop.read(taken)
    part = chunks[-1].position_at(7, None)
    drop.positions[chunks[-1].place] = part
    drop.restart()
    assert part["rows"] == 48 * (taken - 1) + 7
    assert rows(drop.read()) == 3 * 48 - part["rows"]
    drop.restart()
    assert drop.read() == []


def test_a_replaced_document_is_another_one(tmp_path: Path) -> None:
    """A new content under an old name is read from its start, and the position of the old one is given up."""
    drop = Drop(tmp_path)
    drop.put("1.csv", text_of(1), at=1.0)
    drop.read()
    drop.put("1.csv", text_of(2), at=2.0)
    again = drop.read()
    assert rows(again) == 96
    assert list(drop.positions) == [f"a/0:{tmp_path / '1.csv'}#000002"]


def test_what_is_no_document_is_said_once(tmp_path: Path) -> None:
    """A file that cannot be read is one rejected line with a notice; the next document is read all the same."""

    class Broken(Small):
        def read(self, path: Path, progress: Progress = lambda done, total: None) -> Iterator[Readings]:
            yield next(super().read(path))
            raise DocumentError(f"{path.name} is torn")

    drop = Drop(tmp_path, Broken())
    drop.put("1.csv", text_of(3), at=1.0)
    chunks = drop.read()
    assert (rows(chunks), [dict(chunk.discarded) for chunk in chunks]) == (48, [{}, {"malformed": 1}])
    drop.restart()
    assert (drop.read(), drop.said) == ([], ["1.csv is torn"])
    nothing = Drop(tmp_path / "other", Nem12Format())
    (tmp_path / "other").mkdir()
    nothing.put("x.csv", "no record\n", at=1.0)
    nothing.put("y.csv", text_of(1), at=2.0)
    assert rows(nothing.read()) == 48
    assert "not a NEM12 file" in nothing.said[0]
