"""A disk that loses, tears and reorders what was not synced, is full, fails, and from which a life may be cut.

What is written goes to real files in memory. Beside them is kept what of each file, and of the names in each directory,
was there at its last sync: after a power cut every block of 512 bytes that differs is the new one or the old one, by
chance, and so are a file's length and its name.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.simulation import sqlite_files
from tests.simulation.sqlite_files import SqliteFiles

BLOCK = 512
RESERVE = "tidegauge.reserve"


class KilledError(BaseException):
    """The simulated process has ended in the middle of a call."""


@dataclass(frozen=True)
class Kept:
    """A file as a kill left it.

    Attributes:
        now: Its bytes, None where the name is gone but its removal was not synced.
        synced: Its bytes at the last sync, None where it never was synced.
    """

    now: bytes | None
    synced: bytes | None


class Disk:
    """The files below `root`.

    Args:
        root: A directory; what is in it when this begins counts as synced.
        chance: Draws what is lost.
        died: Called at the instant of a kill, before anything else happens.

    Attributes:
        calls: Calls so far; a call is a write, a sync, a rename, a removal, or a fault point of the store.
        kill_at: The call at which the process is killed, None for never.
        power: Whether power goes with it, so that what was not synced may be lost.
        dead: Whether it was killed.
        room: Bytes that may still be written, None for any number.
        broken: Calls for which writes and syncs fail (EIO).
        misread: Reads until one gives the page beside the one asked for; None for never.
        trace: What a call was, for whoever looks at a failing seed.
    """

    def __init__(self, root: Path, chance: random.Random, died: Callable[[], None] = lambda: None) -> None:
        self.root, self._chance, self._died = root, chance, died
        self._under = f"{root}/"
        self.calls, self.kill_at, self.power, self.dead = 0, -1, False, False
        self.room: int | None = None
        self.broken = 0
        self.misread: int | None = None
        self.last_calls: list[str] = []
        self._synced: dict[int, bytes] = {}  # inode -> its bytes at the last sync
        self._names: dict[str, int] = {}  # path -> inode, as of the last sync of its directory
        self._image: dict[str, Kept] = {}
        self._real = {name: getattr(os, name) for name in _REPLACED}
        for name in _REPLACED:
            setattr(os, name, getattr(self, f"_{name}"))
        self._files = SqliteFiles(self._under, self)

    def close(self) -> None:
        """Leave the process as it was."""
        self._files.close()
        for name, function in self._real.items():
            setattr(os, name, function)

    # -- every call --------------------------------------------------------------------------------------------------

    def reached(self, name: str) -> None:
        """A fault point of the store."""
        self._call(f"point {name}")

    def _call(self, what: str) -> None:
        """Raises KilledError when it is the last one."""
        if self.dead:
            raise KilledError
        self.calls += 1
        self.last_calls = [*self.last_calls[-11:], what]
        if self.calls == self.kill_at:
            self.kill()
            raise KilledError

    def kill(self) -> None:
        """What is on the disk now is what the next life finds."""
        self.dead = True
        self._died()
        self._image = self._keep()

    def _refused(self, what: str, grown: int = 0) -> int:
        """The error of a call that changes something, 0 for none."""
        self._call(what)
        if self.broken > 0:
            self.broken -= 1
            return errno.EIO
        if self.room is not None and grown > 0:
            if grown > self.room:
                return errno.ENOSPC
            self.room -= grown
        return 0

    def _check(self, what: str, grown: int = 0) -> None:
        if code := self._refused(what, grown):
            raise OSError(code, os.strerror(code))

    # -- SQLite's calls ----------------------------------------------------------------------------------------------

    def read(self, path: str, offset: int, size: int) -> tuple[int, int]:
        """See `Watcher`."""
        if self.misread is not None and path.endswith(".db") and size >= 4096:
            self.misread -= 1
            if self.misread < 0:
                self.misread = None
                return sqlite_files.OK, max(0, offset - size)
        return sqlite_files.OK, offset

    def write(self, path: str, offset: int, size: int) -> int:
        """See `Watcher`."""
        grown = max(0, offset + size - os.stat(path).st_size)
        return self._code(f"write {path}", sqlite_files.IOERR_WRITE, grown)

    def truncate(self, path: str, size: int) -> int:
        """See `Watcher`."""
        return self._code(f"truncate {path}", sqlite_files.IOERR_TRUNCATE)

    def sync(self, path: str) -> int:
        """See `Watcher`."""
        return self._code(f"sync {path}", sqlite_files.IOERR_SYNC)

    def synced(self, path: str) -> None:
        """See `Watcher`; SQLite syncs the directory of a log that it has made."""
        self._note(path)
        if path.endswith("-wal"):
            self._names[path] = os.stat(path).st_ino

    def delete(self, path: str) -> int:
        """See `Watcher`."""
        return self._code(f"delete {path}", sqlite_files.IOERR_WRITE)

    def _code(self, what: str, broken: int, grown: int = 0) -> int:
        code = self._refused(what, grown)
        return {0: 0, errno.ENOSPC: sqlite_files.FULL}.get(code, broken)

    # -- Python's calls ----------------------------------------------------------------------------------------------

    def _path(self, descriptor: int) -> str | None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        return path if path.startswith(self._under) or path == str(self.root) else None

    def _mine(self, path: Any) -> bool:
        return bool(os.fspath(path).startswith(self._under))

    def _fsync(self, descriptor: int) -> None:
        if (path := self._path(descriptor)) is not None:
            self._check(f"fsync {path}")
            if Path(path).is_dir():
                self._sync_names(path)
            elif not path.endswith("(deleted)"):
                self._note(path)
        self._real["fsync"](descriptor)

    def _fdatasync(self, descriptor: int) -> None:
        self._fsync(descriptor)

    def _pwrite(self, descriptor: int, data: Any, offset: int) -> int:
        if self._path(descriptor) is not None:
            self._check("pwrite", max(0, offset + len(data) - os.fstat(descriptor).st_size))
        return int(self._real["pwrite"](descriptor, data, offset))

    def _write(self, descriptor: int, data: Any) -> int:
        if self._path(descriptor) is not None:
            self._check("write", len(data))
        return int(self._real["write"](descriptor, data))

    def _ftruncate(self, descriptor: int, size: int) -> None:
        if self._path(descriptor) is not None:
            self._check("ftruncate")
        self._real["ftruncate"](descriptor, size)

    def _posix_fallocate(self, descriptor: int, offset: int, size: int) -> None:
        if (path := self._path(descriptor)) is not None:
            self._check("fallocate", max(0, offset + size - os.fstat(descriptor).st_size))
            if path.endswith(RESERVE):  # nothing is ever in it
                self._real["ftruncate"](descriptor, max(offset + size, os.fstat(descriptor).st_size))
                return
        self._real["posix_fallocate"](descriptor, offset, size)

    def _replace(self, source: Any, target: Any) -> None:
        if self._mine(target):
            self._check(f"rename {target}")
        self._real["replace"](source, target)

    def _link(self, source: Any, target: Any, **how: Any) -> None:
        if self._mine(target):
            self._check(f"link {target}")
        self._real["link"](source, target, **how)

    def _unlink(self, path: Any, **how: Any) -> None:
        if self._mine(path):
            self._call(f"unlink {path}")
            if self.room is not None:
                self.room += os.stat(path).st_size if Path(path).exists() else 0
        self._real["unlink"](path, **how)

    def _statvfs(self, path: Any) -> Any:
        found = self._real["statvfs"](path)
        if self.room is None or not self._mine(path):
            return found
        return os.statvfs_result((found.f_bsize, 512, found.f_blocks, *[self.room // 512] * 2, *tuple(found)[5:10]))

    # -- what is synced ----------------------------------------------------------------------------------------------

    def _note(self, path: str) -> None:
        if not path.endswith(RESERVE):
            self._synced[os.stat(path).st_ino] = Path(path).read_bytes()

    def _sync_names(self, directory: str) -> None:
        for path in [path for path in self._names if os.path.dirname(path) == directory]:
            del self._names[path]
        with os.scandir(directory) as entries:
            self._names |= {entry.path: entry.inode() for entry in entries if entry.is_file()}

    def sync_all(self) -> None:
        """All that is there is on the disk."""
        self._synced.clear()
        self._names.clear()
        for path in self.paths():
            self._note(path)
            self._names[path] = os.stat(path).st_ino

    def paths(self) -> list[str]:
        """All files, in order."""
        found = [os.path.join(folder, name) for folder, _, names in os.walk(self.root) for name in names]
        return sorted(path for path in found if not os.path.islink(path) and os.path.isfile(path))

    # -- a kill ------------------------------------------------------------------------------------------------------

    def _keep(self) -> dict[str, Kept]:
        inodes = {path: os.stat(path).st_ino for path in self.paths() if not path.endswith("-shm")}
        image: dict[str, Kept] = {}
        for path in sorted({*inodes, *self._names}):
            inode = inodes.get(path)
            before = self._names.get(path)
            now = None if inode is None else b"" if path.endswith(RESERVE) else Path(path).read_bytes()
            old = None if before is None else self._synced.get(before, b"")
            synced = None if inode is None else self._synced.get(inode)
            if self.power and not path.endswith(RESERVE):
                content = None if now is None else self._torn(now, synced or b"")
                now = content if before == inode or self._chance.random() < 0.5 else old
                image[path] = Kept(now, now)
            else:
                image[path] = Kept(now, old if before == inode else None)
        return image

    def _torn(self, now: bytes, before: bytes) -> bytes:
        """Each block of a file the new one or the old one."""
        if now == before:
            return now
        size = self._chance.choice([len(now), len(before), self._chance.randint(*sorted((len(now), len(before))))])
        now, before = now.ljust(size, b"\0"), before.ljust(size, b"\0")
        share = self._chance.choice([0.0, 0.1, 0.5, 0.9, 1.0])
        blocks = []
        for at in range(0, size, BLOCK):
            old, new = before[at : at + BLOCK], now[at : at + BLOCK]
            blocks.append(new if old == new or self._chance.random() < share else old)
        return b"".join(blocks)[:size]

    def restore(self) -> None:
        """After a kill: put on the disk what it left, for the next life."""
        for there in self.root.rglob("*"):
            if not there.is_dir():
                self._real["unlink"](there)
        self._synced.clear()
        self._names.clear()
        for path, kept in self._image.items():
            if kept.now is None:
                continue
            Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            Path(path).write_bytes(kept.now)
            Path(path).chmod(0o600)
            if kept.synced is not None:
                inode = os.stat(path).st_ino
                self._synced[inode], self._names[path] = kept.synced, inode
        self.revive()

    def revive(self) -> None:
        """A new life begins."""
        self.dead, self.power, self.kill_at, self.broken = False, False, -1, 0


_REPLACED = (
    *("fsync", "fdatasync", "pwrite", "write", "ftruncate", "posix_fallocate"),
    *("replace", "link", "unlink", "statvfs"),
)
