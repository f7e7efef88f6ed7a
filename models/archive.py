"""A dictionary of arrays and a JSON object as bytes: canonical, so that equal content has equal bytes.

Layout: magic `TGA1`, length of the JSON header (8 bytes, little endian), the header (`meta`, and for each array its
name, dtype and shape, sorted by name), then the arrays' bytes in that order. No pickle, no compression, no time stamp.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

_MAGIC = b"TGA1"
_RANK = 64  # numpy's own limit


def pack(meta: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Bytes of `meta` (JSON types, string keys) and `arrays` (any shape; structured dtypes too)."""
    names = sorted(arrays)
    table = [[n, np.lib.format.dtype_to_descr(arrays[n].dtype), list(arrays[n].shape)] for n in names]
    header = orjson.dumps({"meta": meta, "arrays": table}, option=orjson.OPT_SORT_KEYS)
    parts = [_MAGIC, len(header).to_bytes(8, "little"), header]
    parts += [np.ascontiguousarray(arrays[n]).tobytes() for n in names]
    return b"".join(parts)


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """What `pack` was given; the arrays are writable copies.

    Raises:
        ValueError: The bytes are not an archive, or are cut short, or go on after its end.
    """
    if data[:4] != _MAGIC or len(data) < 12:
        raise ValueError("not an archive: it does not begin with TGA1")
    size = int.from_bytes(data[4:12], "little")
    if len(data) < 12 + size:
        raise ValueError("archive is cut short in its header")
    try:
        head = orjson.loads(data[12 : 12 + size])
        meta: dict[str, Any] = head["meta"]
        if not isinstance(meta, dict):
            raise ValueError("archive's meta is no JSON object")
        return meta, _arrays(data, head["arrays"], 12 + size)
    except (LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"archive's header is damaged: {type(error).__name__} {error}") from error


def _arrays(data: bytes, table: list[Any], at: int) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a header's table, whose bytes begin at `at` and end with the archive."""
    arrays = {}
    for name, descr, shape in table:
        dtype = np.dtype(np.lib.format.descr_to_dtype(_as_descr(descr)))
        if len(shape) > _RANK or not all(type(length) is int and length >= 0 for length in shape):
            raise ValueError(f"archive has {name} of a shape that no array has")
        count = math.prod(shape)
        end = at + count * dtype.itemsize
        if end > len(data):
            raise ValueError(f"archive is cut short in {name}")
        arrays[name] = np.frombuffer(data[at:end], dtype, count).reshape(shape).copy()
        at = end
    if at != len(data):
        raise ValueError(f"archive has {len(data) - at} bytes after its end")
    return arrays


def _as_descr(descr: Any) -> Any:
    """JSON turns numpy's tuples into lists; numpy wants the tuples back."""
    if isinstance(descr, str):
        return descr
    return [
        (field[0], _as_descr(field[1]), *(tuple(extra) if isinstance(extra, list) else extra for extra in field[2:]))
        for field in descr
    ]
