"""Files of a state directory: written whole, set aside, cleared away; and the disk's refusals as the store's errors."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from daemon.store.access import refusal
from daemon.store.errors import StoreError, StoreFull
from models.atomic_file import TEMPORARY, sync_directory, write_atomically

PROBE_BYTES = 65_536  # more than the pages that SQLite adds in one step

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_whole(path: Path, parts: Iterable[bytes | memoryview], before_rename: Callable[[], None]) -> None:
    """Write `parts` to `path`, whole or not at all, for its owner alone.

    Raises:
        StoreFull: There is no room; `path` is as it was.
        StoreError: Any other failure of the disk; `path` is as it was, or the new file whole.
    """
    try:
        write_atomically(path, parts, mode=0o600, before_rename=before_rename)
    except OSError as error:
        raise disk_error(error, path) from error


def disk_error(error: OSError, path: Path) -> StoreError:
    """The typed error for an operating system's refusal to write `path`."""
    if error.errno in _NO_SPACE:
        return StoreFull(f"{path}: no room to write it ({error.strerror}); free space on this file system")
    if (why := refusal([path.parent, path], writing=True)) is not None:
        return StoreError(why)
    return StoreError(
        f"{path}: cannot be written ({error.strerror or error}); check the disk and the directory's owner and mode"
    )


def is_full(path: Path) -> bool:
    """Whether there is no room for `path` to grow; False where there is, and where writing fails for another reason.

    A file beside it is written at the same offset, since a limit may be one of a file's size.
    """
    try:
        size = path.stat().st_size if path.exists() else 0
        with tempfile.TemporaryFile(dir=path.parent) as file:
            os.pwrite(file.fileno(), bytes(PROBE_BYTES), size)
            os.fsync(file.fileno())
    except OSError as error:
        return error.errno in _NO_SPACE
    return False


def quarantine(path: Path, companions: tuple[str, ...] = ()) -> Path:
    """Rename `path`, with `path` + each companion suffix, to the first free `*.quarantined-N`; the new path."""
    moved = free_name(path)
    for suffix in ("", *companions):  # the file first: a database must never be seen without its log
        present = path.with_name(path.name + suffix)
        if present.exists():
            present.replace(moved.with_name(moved.name + suffix))
    sync_directory(path.parent)
    return moved


def free_name(path: Path) -> Path:
    """The first of `path.quarantined-1`, `-2`, ... that is not taken."""
    number = 1
    while (moved := path.with_name(f"{path.name}.quarantined-{number}")).exists():
        number += 1
    return moved


def remove_temporaries(directory: Path) -> None:
    """Remove what a crash left half written."""
    for leftover in directory.glob(f"*{TEMPORARY}"):
        leftover.unlink(missing_ok=True)


def size_of(path: Path) -> int:
    """Bytes of a file; 0 of one that is gone."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def room_on(directory: Path) -> int:
    """Bytes that this user may still write to a directory's file system."""
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize
