"""A training's state on disk: written whole or not at all, checked when it is read, nothing unpickled."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.archive import pack, unpack
from models.atomic_file import write_atomically

Arrays = dict[str, npt.NDArray[Any]]


class CheckpointError(ValueError):
    """A checkpoint that cannot be continued; the message says why and what to do."""


def write_checkpoint(path: Path, meta: Mapping[str, Any], arrays: Arrays) -> None:
    """Write a training's state; the content's SHA-256 comes first.

    Raises:
        OSError: It could not be written; the old one is as it was.
    """
    content = pack(meta, arrays)
    write_atomically(path, [hashlib.sha256(content).digest(), content])


def read_checkpoint(path: Path) -> tuple[dict[str, Any], Arrays] | None:
    """What `write_checkpoint` wrote; None where there is no such file.

    Raises:
        CheckpointError: The file is damaged.
        OSError: It cannot be read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    if hashlib.sha256(data[32:]).digest() != data[:32]:
        raise CheckpointError(f"{path}: damaged, its checksum is another one; remove it to begin again")
    return unpack(data[32:])


def tensors_to_arrays(prefix: str, tensors: Mapping[str, Any]) -> Arrays:
    """Tensors as arrays whose names begin with `prefix/`."""
    return {f"{prefix}/{name}": np.array(tensor.detach().cpu().numpy()) for name, tensor in tensors.items()}


def under(prefix: str, arrays: Arrays) -> Arrays:
    """The arrays whose names begin with `prefix/`, without it."""
    return {n.removeprefix(f"{prefix}/"): a for n, a in arrays.items() if n.startswith(f"{prefix}/")}
