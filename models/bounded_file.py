"""Files of a size that fits into memory, read once."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from models.bundle_errors import BundleError

_FILE_BYTES = 1 << 30


def bytes_of(path: Path) -> bytes:
    """A file's bytes, read once; a pipe or a device would never end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _FILE_BYTES:
            raise BundleError(f"no regular file of at most {_FILE_BYTES >> 20} MiB, so no bundle")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(_FILE_BYTES)
    finally:
        os.close(descriptor)
