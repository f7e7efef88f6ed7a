"""SQLite's own file calls, seen and refused: its default file system gets our functions in the place of a few of its.

The files stay what they are, of the same layout, since SQLite's methods are called for everything; only their table is
another one. It works in the library that the `sqlite3` module uses, and for all its connections in this process.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Callable
from typing import Any, Protocol

OK, FULL = 0, 13
IOERR_READ, IOERR_WRITE, IOERR_SYNC, IOERR_TRUNCATE = 10 | 1 << 8, 10 | 3 << 8, 10 | 4 << 8, 10 | 6 << 8

_READ = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int64)
_SIZED = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int64)
_FLAGGED = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
_OPEN = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(ctypes.c_int)
)  # names as addresses: SQLite keeps them, and a copy would be gone
_DELETE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)


class _Methods(ctypes.Structure):
    """sqlite3_io_methods as of version 3: close, read, write, truncate, sync, and fourteen that are left alone."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("close", ctypes.c_void_p),
        ("read", _READ),
        ("write", _READ),
        ("truncate", _SIZED),
        ("sync", _FLAGGED),
        ("others", ctypes.c_void_p * 13),
    )


class _FileSystem(ctypes.Structure):
    """The beginning of sqlite3_vfs."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("file_bytes", ctypes.c_int),
        ("path_bytes", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("data", ctypes.c_void_p),
        ("open", _OPEN),
        ("delete", _DELETE),
    )


class Watcher(Protocol):
    """Is asked before each call about a file, and may refuse it with one of SQLite's codes."""

    def read(self, path: str, offset: int, size: int) -> tuple[int, int]:
        """A code, and the offset that is read instead."""

    def write(self, path: str, offset: int, size: int) -> int:
        """A code."""

    def truncate(self, path: str, size: int) -> int:
        """A code."""

    def sync(self, path: str) -> int:
        """A code."""

    def synced(self, path: str) -> None:
        """A sync is done."""

    def delete(self, path: str) -> int:
        """A code."""


class SqliteFiles:
    """Has the files below one directory watched.

    Args:
        under: Beginning of the paths that are watched.
        watcher: Is asked.
    """

    def __init__(self, under: str, watcher: Watcher) -> None:
        self._under, self._watcher = under, watcher
        library = ctypes.CDLL(ctypes.util.find_library("sqlite3"))
        library.sqlite3_vfs_find.restype = ctypes.POINTER(_FileSystem)
        self._system: Any = library.sqlite3_vfs_find(None).contents
        self._opened, self._deleted = (
            self._kept(self._system, "open", _OPEN),
            self._kept(self._system, "delete", _DELETE),
        )
        self._tables: dict[int, tuple[_Methods, _Methods]] = {}
        self._paths: dict[int, str] = {}
        self._system.open, self._system.delete = _OPEN(self._open), _DELETE(_never_raises(self._delete, IOERR_WRITE))

    def close(self) -> None:
        """Leave SQLite as it was; no file may be open."""
        self._system.open, self._system.delete = self._opened, self._deleted

    @staticmethod
    def _kept(structure: Any, name: str, kind: Any) -> Any:
        """A function of a structure that stays what it is when the structure changes."""
        address = ctypes.cast(getattr(structure, name), ctypes.c_void_p).value
        return kind(address)

    def _open(self, system: int, name: int | None, file: int, flags: int, out: Any) -> int:
        code: int = self._opened(system, name, file, flags, out)
        if code == OK and name is not None and (path := _text(name)).startswith(self._under):
            place = ctypes.cast(file, ctypes.POINTER(ctypes.c_void_p))
            address = place[0]
            assert address is not None
            if address not in self._tables:
                self._tables[address] = self._watched(address)
            self._paths[file] = path
            place[0] = ctypes.addressof(self._tables[address][1])
        return code

    def _watched(self, address: int) -> tuple[_Methods, _Methods]:
        """The table of methods at an address, and one like it that asks first."""
        old = _Methods.from_buffer_copy(_Methods.from_address(address))
        new = _Methods.from_buffer_copy(old)
        read, write = self._kept(old, "read", _READ), self._kept(old, "write", _READ)
        truncate, sync = self._kept(old, "truncate", _SIZED), self._kept(old, "sync", _FLAGGED)
        watcher, paths = self._watcher, self._paths

        def reading(file: int, into: int, size: int, offset: int) -> int:
            code, instead = watcher.read(paths[file], offset, size)
            return code or read(file, into, size, instead)

        def writing(file: int, data: int, size: int, offset: int) -> int:
            return watcher.write(paths[file], offset, size) or write(file, data, size, offset)

        def truncating(file: int, size: int) -> int:
            return watcher.truncate(paths[file], size) or truncate(file, size)

        def syncing(file: int, flags: int) -> int:
            code = watcher.sync(paths[file]) or sync(file, flags)
            if code == OK:
                watcher.synced(paths[file])
            return code

        new.read, new.write, new.truncate, new.sync = (
            _READ(_never_raises(reading, IOERR_READ)),
            _READ(_never_raises(writing, IOERR_WRITE)),
            _SIZED(_never_raises(truncating, IOERR_TRUNCATE)),
            _FLAGGED(_never_raises(syncing, IOERR_SYNC)),
        )
        return old, new

    def _delete(self, system: int, name: int, sync: int) -> int:
        if (path := _text(name)).startswith(self._under) and (code := self._watcher.delete(path)):
            return code
        return int(self._deleted(system, name, sync))


def _text(address: int) -> str:
    return ctypes.string_at(address).decode()


def _never_raises(function: Callable[..., int], code: int) -> Callable[..., int]:
    """An exception cannot pass through SQLite: whoever raised it must know that the call failed instead."""

    def safe(*args: Any) -> int:
        try:
            return function(*args)
        except BaseException:
            return code

    return safe
