"""One writer per state directory: an advisory lock on a file that holds the holder's process id."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from daemon.store.errors import StoreLocked

NAME = "lock"


class Lock:
    """Held from construction to `release`, or until the process ends however it ends.

    The descriptor is not inherited across exec; a process made with bare fork would keep the lock, so the trainer is
    spawned, never forked.
    """

    def __init__(self, directory: Path) -> None:
        """Take the lock of `directory`. Raises StoreLocked when another process (or this one) has it."""
        path = directory / NAME
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = _holder(self._descriptor)
            os.close(self._descriptor)
            who = f"process {pid}" if pid is not None else "another process"
            raise StoreLocked(
                f"{path}: the state directory is in use by {who}; stop it, or set another state_dir", pid
            ) from None
        with contextlib.suppress(OSError):  # on a full disk whoever asks is not told which process it is
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let go; a second call does nothing. The file stays: removing it would let two holders in."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = -1


def _holder(descriptor: int) -> int | None:
    """Process id written in the lock file, None when there is none."""
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else None
