"""What a path may be called after a rotation."""

from __future__ import annotations

import re
from collections.abc import Iterator

_ROTATED = re.compile(r"([.\-_][0-9][0-9T:._\-]*)?(\.gz)?")
"""What logrotate and its like append to a name."""


def is_rotated(path: str, name: str) -> bool:
    """Whether `name` is what `path` may be called after a rotation, compressed or not."""
    return name != path and name.startswith(path) and _ROTATED.fullmatch(name[len(path) :]) is not None


def rotated_of(name: str) -> Iterator[str]:
    """The paths that may be called `name` after a rotation, the longest first."""
    for at in range(len(name) - 1, name.rfind("/"), -1):
        if name[at] in ".-_" and is_rotated(name[:at], name):
            yield name[:at]
