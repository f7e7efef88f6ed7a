"""When a file was made: device and inode come again after a file is deleted, the three together do not."""

from __future__ import annotations

import ctypes
import struct

_EMPTY_PATH, _BIRTH = 0x1000, 0x800  # AT_EMPTY_PATH, STATX_BTIME
_MASK_AT, _BIRTH_AT = 0, 0x50
_SIZE = 256


def born_ns(fd: int) -> int | None:
    """Time of birth of an open file, epoch nanoseconds; None where system or file system does not say."""
    answer = ctypes.create_string_buffer(_SIZE)
    try:
        failed = ctypes.CDLL(None).statx(fd, b"", _EMPTY_PATH, _BIRTH, answer)
    except (AttributeError, OSError):  # no Linux, or an old library
        return None
    (mask,) = struct.unpack_from("I", answer, _MASK_AT)
    if failed or not mask & _BIRTH:
        return None
    seconds, nanoseconds = struct.unpack_from("qI", answer, _BIRTH_AT)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)
