"""A bundle as a safetensors file: arrays with one text beside them, JSON of format, digest and manifest.

Equal content has equal bytes: the library sorts the arrays, and of several texts it would not keep the order.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import safetensors
import safetensors.numpy

from models.bundle_content import Arrays, BundleContent
from models.bundle_errors import BundleError

FORMAT = "tidegauge-bundle-2"
_TEXT = "tidegauge"  # the one key of the file's metadata
_WEIGHTS, _OPTIMISER = "weights/", "optimiser/"
_HEADER_BYTES = 1 << 22  # of the text and the table of arrays; the greatest ensemble has some 100 kB
_DTYPES = {"F32": "<f4", "F64": "<f8", "I64": "<i8", "I32": "<i4", "U8": "|u1", "BOOL": "|b1"}


def write(content: BundleContent) -> bytes:
    """The file's bytes."""
    text = {"format": FORMAT, "digest": content.digest, "manifest": content.manifest}
    arrays: Arrays = {_WEIGHTS + name: array for name, array in content.weights.items()}
    arrays |= {_OPTIMISER + name: array for name, array in content.optimiser.items()}
    whole = {name: np.require(array, requirements="C") for name, array in arrays.items()}
    return safetensors.numpy.save(whole, {_TEXT: orjson.dumps(text, option=orjson.OPT_SORT_KEYS).decode()})


def read(data: bytes) -> BundleContent:
    """What `write` was given; the arrays are writable copies.

    Raises:
        BundleError: The bytes are no such file.
    """
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > min(_HEADER_BYTES, len(data) - 8):
        raise BundleError("not a bundle: neither a safetensors file nor a TorchScript file, or cut short")
    try:
        tensors = safetensors.deserialize(data)  # type: ignore[no-untyped-call]
        text = orjson.loads(orjson.loads(data[8 : 8 + size])["__metadata__"][_TEXT])
        if text["format"] != FORMAT:
            raise BundleError(f"bundle is of format {str(text['format'])[:40]!r}, this program reads {FORMAT!r}")
        arrays = {name: _array(found["dtype"], found["shape"], found["data"]) for name, found in tensors}
        manifest, digest = text["manifest"], text["digest"]
    except BundleError:
        raise
    except (safetensors.SafetensorError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise BundleError(f"not a bundle: {' '.join(str(error).split())[:200]}") from error
    return BundleContent(
        manifest,
        {n.removeprefix(_WEIGHTS): array for n, array in arrays.items() if n.startswith(_WEIGHTS)},
        {n.removeprefix(_OPTIMISER): array for n, array in arrays.items() if n.startswith(_OPTIMISER)},
        digest,
    )


def _array(kind: str, shape: list[int], data: bytes) -> npt.NDArray[Any]:
    dtype = np.dtype(_DTYPES[kind])
    return np.frombuffer(data, dtype, math.prod(shape)).reshape(shape).copy()
