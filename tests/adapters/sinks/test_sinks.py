"""Sinks: at least once, whole lines, over crashes and rotation."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from adapters.sinks.outputs import JsonLinesFile, StandardOutput


def test_lines_are_appended_and_the_length_returned(tmp_path: Path) -> None:
    """Each delivery ends on a newline, and its length is what a restart may rely on."""
    path = tmp_path / "events.jsonl"
    sink = JsonLinesFile(path, None)
    assert sink.deliver([b"{}", b"[1]"]) == 7
    assert sink.deliver([]) == 7
    sink.close()
    assert path.read_bytes() == b"{}\n[1]\n"


def test_uncommitted_lines_are_cut_off_at_start(tmp_path: Path) -> None:
    """What a crashed run wrote beyond the committed length goes, half a line or not."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"{}\n[1]\n{half")
    sink = JsonLinesFile(path, 3)
    assert sink.deliver([b"[2]"]) == 7
    sink.close()
    assert path.read_bytes() == b"{}\n[2]\n"


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


def test_standard_output_is_flushed() -> None:
    """Lines are written whole; there is no length to commit."""
    raw = io.BytesIO()
    stream = io.BufferedWriter(raw)  # type: ignore[arg-type]
    sink = StandardOutput(stream)
    sink.deliver([b"1", b"2"])
    assert raw.getvalue() == b"1\n2\n"
    sink.close()
