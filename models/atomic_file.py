"""Files that are there whole or not at all, whatever dies and whenever: the one writer of all that must last."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

TEMPORARY = ".tmp"
"""Suffix of a file that is being written; leftovers of a crash are overwritten by the next write of the same name."""


@contextlib.contextmanager
def replacing(
    path: Path, *, mode: int = 0o666, new: bool = False, before_rename: Callable[[], None] = lambda: None
) -> Iterator[BinaryIO]:
    """A file to be written, which has its name only once the block has ended and all of it is on disk.

    Args:
        path: Its name; the directory must exist.
        mode: Of the file, less the umask.
        new: Whether a file that has the name already is an error instead of being replaced.
        before_rename: Called when the content is on disk and the name is not yet taken.

    Raises:
        FileExistsError: `new`, and the name is taken.
        OSError: It could not be written; what had the name is as it was.
    """
    temporary = path.with_name(path.name + TEMPORARY)
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        before_rename()
        if new:
            os.link(temporary, path)  # a rename would replace what has come there meanwhile
            temporary.unlink()
        else:
            temporary.replace(path)
        sync_directory(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)
        raise


def write_atomically(
    path: Path,
    parts: Iterable[bytes | memoryview],
    *,
    mode: int = 0o666,
    before_rename: Callable[[], None] = lambda: None,
) -> None:
    """Write `parts` one after the other; see `replacing`."""
    with replacing(path, mode=mode, before_rename=before_rename) as file:
        for part in parts:
            file.write(part)


def sync_directory(directory: Path) -> None:
    """Make renames inside `directory` durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
