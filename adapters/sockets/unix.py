"""Listening on a Unix socket: a stale file is replaced, a live one is not; its mode holds before anyone connects."""

from __future__ import annotations

import errno
import grp
import os
import socket
import stat
import struct
from pathlib import Path
from typing import Any

from adapters.sockets.endpoint import ListenError
from adapters.sockets.listener import Listener, listener
from adapters.sockets.tcp import BACKLOG
from adapters.source_kind import Surroundings

_PATH_BYTES = 107
_CREDENTIALS = struct.Struct("3i")


class UnixEndpoint:
    """A socket in the file system.

    Args:
        path: Where; its directory must exist.
        mode: Permissions.
        group: Name or number of its group; None: the process's.
    """

    kind = "unix"

    def __init__(self, path: str, *, mode: int = 0o660, group: str | None = None) -> None:
        self._path, self._mode, self._group = path, mode, group
        self._made: tuple[int, int] | None = None

    def listen(self) -> socket.socket:
        """See `Endpoint.listen`; the file of a socket that nobody listens on any longer is replaced."""
        if len(os.fsencode(self._path)) > _PATH_BYTES:
            raise ListenError(f"{self._path}: the path of a socket may have {_PATH_BYTES} bytes; set a shorter path:")
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._bind(sock)
            status = os.stat(self._path)  # noqa: PTH116 - beside chown and chmod
            self._made = (status.st_dev, status.st_ino)
            if self._group is not None:
                os.chown(self._path, -1, _group_id(self._group))
            os.chmod(self._path, self._mode)  # noqa: PTH101
            sock.listen(BACKLOG)  # from here on a peer can connect
        except OSError as error:
            sock.close()
            self.close()
            if isinstance(error, ListenError):
                raise
            raise ListenError(
                f"cannot listen on {self._path}: {error.strerror}; see path:, mode: and group:"
            ) from error
        sock.setblocking(False)
        return sock

    def _bind(self, sock: socket.socket) -> None:
        try:
            sock.bind(self._path)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            self._remove_stale()
            sock.bind(self._path)

    def _remove_stale(self) -> None:
        """Remove the socket's file when nobody listens there."""
        if not stat.S_ISSOCK(os.lstat(self._path).st_mode):
            raise ListenError(f"{self._path} is there and is no socket; move it away, or set another path:")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            try:
                probe.connect(self._path)
            except ConnectionRefusedError:
                os.unlink(self._path)  # noqa: PTH108
                return
            except BlockingIOError:  # somebody listens, and does not accept just now
                pass
            owner = _owner(probe)
        raise ListenError(f"{self._path} is listened on by {owner}; stop it, or set another path:")

    def refusal(self, peer: Any) -> str | None:
        """Always None: the file's mode says who may connect."""
        return None

    def prepare(self, sock: socket.socket) -> socket.socket:
        """See `Endpoint.prepare`; there is nothing to set."""
        return sock

    def reload(self) -> None:
        """Nothing to read again."""

    def close(self) -> None:
        """Remove the socket's file, unless another one has its name by now."""
        made, self._made = self._made, None
        try:
            status = os.stat(self._path)  # noqa: PTH116
            if made == (status.st_dev, status.st_ino):
                os.unlink(self._path)  # noqa: PTH108
        except FileNotFoundError:
            pass


def _group_id(group: str) -> int:
    try:
        return int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise ListenError(f"there is no group {group}; make it, or set another group:") from None


def _owner(probe: socket.socket) -> str:
    """The process that listens where `probe` has connected, with its program's path where that may be seen."""
    pid, _, _ = _CREDENTIALS.unpack(probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    if pid <= 0:
        return "another process"
    try:
        return f"process {pid} ({Path(f'/proc/{pid}/exe').readlink()})"
    except OSError:
        return f"process {pid}"


def made(name: str, settings: Any, surroundings: Surroundings) -> Listener:
    """As an entry of `sources` has it."""
    endpoint = UnixEndpoint(settings.path, mode=int(settings.mode, 8), group=settings.group)
    return listener(name, endpoint, settings, surroundings)
