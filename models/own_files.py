"""Which TorchScript files of the operator's own may run in this process: those whose SHA-256 the configuration names.

Such a file is code, and torch runs it while it loads it. Only the reader of the configuration file calls `allow`, so
neither a state nor a journal nor an import brings code in. Imports no torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from models.bundle_errors import OwnModelError

_allowed: dict[str, Path] = {}
_checked: dict[str, bytes] = {}


def allow(files: Mapping[str, Path]) -> None:
    """From now on the files with these SHA-256 may run in this process, and no others; nothing is read yet."""
    _allowed.clear()
    _allowed.update(files)
    for gone in _checked.keys() - files.keys():
        del _checked[gone]


def checked_bytes(sha256: str, read: Callable[[Path], bytes]) -> bytes:
    """The bytes of the allowed file, which have this SHA-256; read once in a process, so that no later change counts.

    Raises:
        OwnModelError: The configuration does not name the checksum, or the file is another one or cannot be read.
    """
    if sha256 not in _allowed:
        raise OwnModelError(
            f"an own model with SHA-256 {sha256} is asked for, which the configuration does not name; set "
            "model.torchscript to its file and model.sha256 to this in its stream, if you trust it"
        )
    if sha256 not in _checked:
        path = _allowed[sha256]
        try:
            data = read(path)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise OwnModelError(f"model.torchscript is {path}: {why}") from error
        found = hashlib.sha256(data).hexdigest()
        if found != sha256:
            raise OwnModelError(
                f"model.torchscript is {path}, whose SHA-256 is {found}, but model.sha256 is {sha256}; "
                "nothing of it was run. Set model.sha256 to the first if you trust the file as it is now"
            )
        _checked[sha256] = data
    return _checked[sha256]
