"""Sinks: at least once, whole lines, over crashes and rotation."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from adapters.sinks.json_lines_file import JsonLinesFile
from adapters.sinks.standard_output import StandardOutput


def test_lines_are_appended_and_the_length_returned(tmp_path: Path) -> None:
    """Each delivery ends on a newline, and its length is what a restart may rely on."""
    path = tmp_path / "events.jsonl"
    sink = JsonLinesFile(path, None)
    assert sink.deliver([b"{}", b"[1]"]) == 7
    assert sink.deliver([]) == 7
    sink.close()
    assert path.read_bytes() == b"{}\n[1]\n"


def test_half_a_line_is_cut_off_at_start(tmp_path: Path) -> None:
    """Of what a crashed run wrote beyond the committed length whole lines stay, and are known; the part of one goes."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"{}\n[1]\n{half")
    sink = JsonLinesFile(path, 3)
    assert sink.beyond == [b"[1]"]
    assert sink.deliver([b"[2]"]) == 11
    sink.close()
    assert path.read_bytes() == b"{}\n[1]\n[2]\n"


def test_what_is_no_line_of_json_is_cut_off_at_start(tmp_path: Path) -> None:
    """After a power cut a file may end in bytes that nobody wrote: from there on it is cut."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"{}\n[1]\n" + bytes(5) + b"\n[3]\n")
    JsonLinesFile(path, 3).close()
    assert path.read_bytes() == b"{}\n[1]\n"


def test_without_a_length_the_newest_lines_are_known(tmp_path: Path) -> None:
    """A file of which nothing is recorded stays as it is; what it has at its end is told."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"{}\n[1]\nhalf")
    sink = JsonLinesFile(path, None)
    sink.close()
    assert sink.beyond == [b"{}", b"[1]"]
    assert path.read_bytes() == b"{}\n[1]\nhalf"


def test_a_shorter_file_is_left_alone(tmp_path: Path) -> None:
    """A file that was rotated while the daemon was down goes on at its end."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"{}\n")
    sink = JsonLinesFile(path, 1000)
    assert sink.deliver([b"1"]) == 5
    sink.close()


@pytest.mark.parametrize("recreated", [True, False])
def test_rotation_is_noticed(tmp_path: Path, recreated: bool) -> None:
    """After logrotate has renamed the file, the next delivery goes to the new one."""
    path = tmp_path / "events.jsonl"
    sink = JsonLinesFile(path, None)
    sink.deliver([b"1"])
    path.rename(tmp_path / "events.jsonl.1")
    if recreated:
        path.touch()
    assert sink.deliver([b"22"]) == 3
    sink.close()
    assert path.read_bytes() == b"22\n"
    assert (tmp_path / "events.jsonl.1").read_bytes() == b"1\n"


def test_a_failed_delivery_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk fills up within a line, the file is as before, and the lines can be delivered again."""
    path = tmp_path / "events.jsonl"
    sink = JsonLinesFile(path, None)
    sink.deliver([b"1"])
    real, calls = os.write, []

    def full(fd: int, data: bytes) -> int:
        calls.append(1)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return real(fd, data[:2])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OSError, match="space"):
            sink.deliver([b"abcdef"])
    assert path.read_bytes() == b"1\n"
    assert sink.deliver([b"abcdef"]) == 9
    sink.close()


def test_standard_output_is_written_whole() -> None:
    """A stream that takes a few bytes at a time gets every line whole; there is no length to commit."""

    class Slow(io.BytesIO):
        def write(self, data: object) -> int:
            return super().write(bytes(data)[:3])  # type: ignore[call-overload]

    stream = Slow()
    StandardOutput(stream).deliver([b"12345", b"2"])
    assert stream.getvalue() == b"12345\n2\n"


def test_a_failed_reopen_leaves_no_stale_descriptor(tmp_path: Path) -> None:
    """The file is renamed and its successor cannot be opened: the number stays ours, and nobody else's is closed."""
    path = tmp_path / "there" / "events.jsonl"
    path.parent.mkdir()
    sink = JsonLinesFile(path, None)
    sink.deliver([b"1"])
    path.parent.rename(tmp_path / "away")
    with pytest.raises(FileNotFoundError):
        sink.deliver([b"2"])
    others = [os.open(tmp_path, os.O_RDONLY) for _ in range(3)]  # whoever opens next must not get the sink's number
    with pytest.raises(FileNotFoundError):
        sink.deliver([b"2"])
    path.parent.mkdir()
    assert sink.deliver([b"2"]) == 2
    sink.close()
    for descriptor in others:
        os.close(descriptor)  # raises if the sink had closed it
    assert (tmp_path / "away" / "events.jsonl").read_bytes() == b"1\n"
    assert path.read_bytes() == b"2\n"


def test_a_file_that_is_made_keeps_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines on disk are lost with the name of their file, so whoever opens it syncs that: who made it may have died."""
    path, whole, synced = tmp_path / "events.jsonl", os.fsync, []

    def sync(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        if len(synced) == 1:
            raise OSError("the disk failed")
        whole(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    with pytest.raises(OSError, match="the disk failed"):
        JsonLinesFile(path, None)
    JsonLinesFile(path, None).close()
    JsonLinesFile(path, None).close()
    assert synced == [str(tmp_path)] * 3


@pytest.mark.parametrize("committed", [0, None])
def test_lines_of_a_run_that_died_are_on_disk(
    committed: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines that a killed run wrote and did not sync count as delivered, so they are synced before that is recorded."""
    path, whole, synced = tmp_path / "events.jsonl", os.fsync, []
    path.write_bytes(b'{"id": 1}\n{"id"')

    def sync(descriptor: int) -> None:
        synced.append((str(Path(f"/proc/self/fd/{descriptor}").readlink()), path.read_bytes()))
        whole(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    sink = JsonLinesFile(path, committed)
    sink.close()
    assert sink.beyond == [b'{"id": 1}']
    assert synced[-1] == (str(path), path.read_bytes())
