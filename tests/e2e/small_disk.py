"""A file system of a few mebibytes that can be filled and freed: a tmpfs in a mount namespace of its own."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

HOLD = 'mount -t tmpfs -o size="$2",mode=0700 tidegauge-test "$1" && echo mounted && exec sleep infinity'


class SmallDisk:
    """Mounted for as long as the object is open, and only for processes that `enter` starts.

    Args:
        directory: Where it is mounted; must exist.
        size_bytes: Its size.

    Attributes:
        seen: The same directory as other processes can reach it.
    """

    def __init__(self, directory: Path, size_bytes: int) -> None:
        self.directory = directory
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", HOLD, "sh", directory, size_bytes]
        self._holder = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE)
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"mounted\n"
        self.seen = Path(f"/proc/{self._holder.pid}/root{directory}")

    def enter(self, working_directory: Path) -> list[str]:
        """Prefix of a command that is to see the disk; the process stays the same."""
        entered = ["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt"]
        return [*entered, "sh", "-c", 'cd "$0" && exec "$@"', str(working_directory)]

    def fill(self, leave_bytes: int = 0) -> None:
        """Take all the room, but for `leave_bytes`."""
        with (self.seen / "ballast").open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError as error:
                assert error.errno == errno.ENOSPC, error
            if leave_bytes:
                file.truncate(max(0, os.fstat(file.fileno()).st_size - leave_bytes))

    def free(self) -> None:
        """Give the room back."""
        (self.seen / "ballast").unlink(missing_ok=True)

    def __enter__(self) -> SmallDisk:
        return self

    def __exit__(self, *_: object) -> None:
        self._holder.kill()
        self._holder.wait()
        if self._holder.stdout is not None:
            self._holder.stdout.close()
