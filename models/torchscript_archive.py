"""A bundle in a TorchScript file that Tidegauge wrote, read as data: the code in it is not looked at.

Such a file is a zip archive: `ROOT/data.pkl` says which numbers each parameter is made of, `ROOT/data/N` are the
numbers, and `ROOT/extra/` has the manifest and the optimiser's state.
"""

from __future__ import annotations

import io
import math
import zipfile

import numpy as np
import orjson

from models.archive import unpack
from models.bundle_content import BundleContent, Floats
from models.bundle_errors import BundleError
from models.torchscript_objects import TensorSpan, parameters

MAGIC = b"PK\x03\x04"
MANIFEST, OPTIMISER = "manifest.json", "optimiser.tga"
_PROGRAM_BYTES = 1 << 22  # of data.pkl; the greatest ensemble's has some 100 kB
_MANIFEST_BYTES = 1 << 20
_FILES = 100_000


def read(data: bytes) -> BundleContent:
    """The bundle in the bytes of a TorchScript file.

    Raises:
        BundleError: It is damaged, another program's, or holds what no bundle does.
    """
    try:
        return _Archive(data).content()
    except BundleError:
        raise
    except Exception as error:  # of damaged archives zipfile raises half a dozen kinds
        raise BundleError(f"not a TorchScript file: {' '.join(str(error).split())[:200]}") from error


class _Archive:
    """The files in a TorchScript file, none of them compressed."""

    def __init__(self, data: bytes) -> None:
        self._bytes = len(data)
        self._zip = zipfile.ZipFile(io.BytesIO(data))
        files = self._zip.infolist()
        self._files = {file.filename: file for file in files}
        if not files or len(files) != len(self._files) or len(files) > _FILES:
            raise BundleError("not a TorchScript file: it has no files, too many, or two of one name")
        self._root = files[0].filename.partition("/")[0]

    def content(self) -> BundleContent:
        """See `read`."""
        lacking = [name for name in (MANIFEST, OPTIMISER) if f"{self._root}/extra/{name}" not in self._files]
        program = self._read("data.pkl", _PROGRAM_BYTES)
        if lacking:
            raise BundleError(f"a TorchScript file, but no Tidegauge bundle: it lacks {' or '.join(lacking)}")
        if f"{self._root}/byteorder" in self._files and self._read("byteorder", 16) != b"little":
            raise BundleError("bundle was written on a machine of another byte order")
        spans = parameters(program)
        if sum(4 * math.prod(span.shape) for span in spans.values()) > self._bytes:
            raise BundleError("bundle's weights are more than the file holds")
        weights = {name: self._weight(span) for name, span in spans.items()}
        meta, optimiser = unpack(self._read(f"extra/{OPTIMISER}", self._bytes))
        manifest = orjson.loads(self._read(f"extra/{MANIFEST}", _MANIFEST_BYTES))
        return BundleContent(manifest, weights, optimiser, meta["digest"])

    def _read(self, name: str, most: int) -> bytes:
        """A file of the archive, with its checksum checked."""
        file = self._files[f"{self._root}/{name}"]
        if file.compress_type != zipfile.ZIP_STORED or file.file_size > min(most, self._bytes):
            raise BundleError(f"bundle's {name} is compressed or of more than {most} bytes")
        return self._zip.read(file)

    def _weight(self, span: TensorSpan) -> Floats:
        storage, count = span.storage, math.prod(span.shape)
        if storage.kind != "torch FloatStorage":
            raise BundleError(f"bundle has a weight of {storage.kind[:40]}, which is not float32")
        if not _in_order(span.shape, span.stride):
            raise BundleError(f"bundle has a weight of strides {span.stride}, which are not in order")
        numbers = np.frombuffer(self._read(f"data/{storage.key}", self._bytes), "<f4")
        if len(numbers) != storage.length or span.offset + count > len(numbers):
            raise BundleError("bundle has a weight of more numbers than are there")
        return numbers[span.offset : span.offset + count].reshape(span.shape).copy()


def _in_order(shape: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    """Whether the numbers follow each other, the last axis fastest."""
    expected = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    return len(shape) == len(stride) and all(
        size == 1 or step == due for size, step, due in zip(shape, stride, expected, strict=True)
    )
