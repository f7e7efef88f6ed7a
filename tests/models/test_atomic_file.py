"""Files that are there whole or not at all, whatever dies and whenever."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from models.atomic_file import replacing, write_atomically
from tests.conftest import ROOT

KILLED = """
import os, signal, sys
from pathlib import Path
from models.atomic_file import replacing
def die(): os.kill(os.getpid(), signal.SIGKILL)
where = sys.argv[2]
at_rename = die if where == "renaming" else lambda: None
with replacing(Path(sys.argv[1]), new=sys.argv[3] == "new", before_rename=at_rename) as file:
    file.write(b"half")
    file.flush()
    if where == "writing":
        die()
"""


@pytest.mark.parametrize("new", ["new", "replaced"])
@pytest.mark.parametrize("where", ["writing", "renaming"])
def test_killed_at_any_point_there_is_the_old_file_or_none(tmp_path: Path, where: str, new: str) -> None:
    """SIGKILL while the content is written, or between that and the name: the name has nothing half, and is free."""
    path = tmp_path / "file"
    if new == "replaced":
        path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", KILLED, str(path), where, new], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert (path.read_bytes() if path.exists() else None) == (b"old" if new == "replaced" else None)
    write_atomically(path, [b"new ", b"one"])
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"new one"


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    """Whatever ends the writing, the old content stays, no temporary file is left, and the error names the file."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="No space") as caught, replacing(path) as file:
        file.write(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert caught.value.filename == str(path)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"


def test_new_never_replaces(tmp_path: Path) -> None:
    """A name that was taken while the content was written stays whose it is."""
    path = tmp_path / "file"
    with pytest.raises(FileExistsError), replacing(path, new=True) as file:
        file.write(b"mine")
        path.write_bytes(b"somebody else's")
    assert path.read_bytes() == b"somebody else's"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_its_mode_is_as_asked_from_the_start(tmp_path: Path) -> None:
    """Nobody can look at what is written before it is whole."""
    with replacing(tmp_path / "file", mode=0o600):
        (written,) = tmp_path.iterdir()
        assert written.stat().st_mode & 0o777 == 0o600
