"""Files that are not UTF-8 are followed as if they were: by their mark, or as the configuration says."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.base import Chunk, Position
from adapters.files.tail import FileTail
from adapters.text_file import Recoder


def tail_of(path: Path, encoding: str = "auto", positions: dict[str, Position] | None = None) -> FileTail:
    tail = FileTail("a/0", path, scan_every_s=0, encoding=encoding)
    tail.open(positions or {})
    return tail


def taken(tail: FileTail) -> list[Chunk]:
    found: list[Chunk] = []
    while chunks := tail.poll(1 << 20):
        found += chunks
    return found


def text(chunks: list[Chunk]) -> str:
    return b"".join(chunk.data for chunk in chunks).decode().removeprefix("\ufeff")


@pytest.mark.parametrize(
    ("codec", "encoding"),
    [
        ("utf-16", "auto"),
        ("utf-16-be", "utf-16-be"),
        ("utf-16-le", "utf-16"),
        ("latin-1", "latin-1"),
        ("utf-8", "auto"),
    ],
)
def test_a_growing_file_of_another_encoding(codec: str, encoding: str, tmp_path: Path) -> None:
    """Lines come as UTF-8, go on when the file grows, and after a restart from the position; offsets are of UTF-8."""
    path, lines = tmp_path / "a.csv", [f"zähler {i}, 24 °C\n" for i in range(5000)]
    path.write_bytes("".join(lines[:4000]).encode(codec))
    tail = tail_of(path, encoding)
    first = taken(tail)
    with path.open("ab") as file:
        file.write("".join(lines[4000:4500]).encode("utf-16-le" if codec == "utf-16" else codec))
    more = taken(tail)
    tail.close()
    with path.open("ab") as file:
        file.write("".join(lines[4500:]).encode("utf-16-le" if codec == "utf-16" else codec))
    last = more[-1]
    again = tail_of(path, encoding, {last.place: last.position_at(last.length, None)})
    rest = taken(again)
    assert text(first + more + rest) == "".join(lines)
    assert rest[0].first_line == 4501
    again.close()


def test_a_file_that_is_written_anew(tmp_path: Path) -> None:
    """Another content under the same inode is noticed, and read from its start."""
    path = tmp_path / "a.csv"
    path.write_bytes("one\ntwo\nthree\n".encode("utf-16"))
    tail = FileTail("a/0", path, scan_every_s=0, monotonic=iter(range(0, 10_000, 100)).__next__)
    tail.open({})
    assert text(taken(tail)) == "one\ntwo\nthree\n"
    path.write_bytes("1\n2\n3\n4\n5\n6\n7\n8\n9\n".encode("utf-16"))
    assert text(taken(tail) or taken(tail)) == "1\n2\n3\n4\n5\n6\n7\n8\n9\n"
    tail.close()


def test_a_compressed_file_of_another_encoding(tmp_path: Path) -> None:
    """What is inside a compressed file is decoded as the configuration says."""
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress("zähler\n".encode("utf-16")))
    tail = tail_of(path, "utf-16")
    assert text(taken(tail)) == "zähler\n"
    tail.close()


@settings(max_examples=60, deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40), st.lists(st.integers(1, 7), max_size=30), st.data()
)
def test_any_cut_gives_the_same_text(whole: str, cuts: list[int], data: st.DataObject) -> None:
    """However the bytes come, the text is the same, in every encoding that can hold it."""
    codec, encoding = data.draw(st.sampled_from([("utf-16", "auto"), ("utf-16-be", "utf-16-be"), ("utf-8", "auto")]))
    raw = whole.encode(codec)
    recoder, found, at = Recoder(encoding), b"", 0
    for cut in cuts:
        found += recoder.feed(raw[at : at + cut])
        at += cut
    found += recoder.feed(raw[at:], last=True)
    assert found.decode().removeprefix("\ufeff") == whole.removeprefix("\ufeff")
