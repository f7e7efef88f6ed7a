"""A trained network as content, as a `.pt` file, and as a scripted module. The only file that may name torch.jit.

torch.jit is deprecated upstream though it works in the pinned torch; its warnings are silenced here and nowhere else.
"""

from __future__ import annotations

import copy
import hashlib
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import torch

from models.architectures import build
from models.archive import pack, unpack
from models.atomic_file import write_atomically
from models.bundle_errors import BundleError
from models.manifest import Manifest
from models.network import NetworkConfig

__all__ = [
    "Bundle",
    "BundleError",
    "Manifest",
    "read_bundle",
    "scripted",
    "write_bundle",
]

Floats = npt.NDArray[np.float32]
Arrays = dict[str, npt.NDArray[Any]]
_FORMAT = "tidegauge-bundle-1"


@dataclass(frozen=True, eq=False)
class Bundle:
    """A trained network: manifest, weights and the optimiser's state, so that fine-tuning continues it."""

    manifest: Manifest
    weights: dict[str, Floats]
    optimiser: Arrays

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical content, hexadecimal: equal content, equal digest."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bundle) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def to_bytes(self) -> bytes:
        """The canonical content."""
        arrays: Arrays = {f"weights/{name}": array for name, array in self.weights.items()}
        arrays |= {f"optimiser/{name}": array for name, array in self.optimiser.items()}
        return pack({"format": _FORMAT, "manifest": self.manifest.to_json()}, arrays)

    @classmethod
    def from_bytes(cls, data: bytes) -> Bundle:
        """The bundle of its canonical content.

        Raises:
            ValueError: The bytes are not an archive, or not one of a bundle.
        """
        meta, arrays = unpack(data)
        if not isinstance(meta, dict) or meta.get("format") != _FORMAT:
            raise BundleError("the archive holds no bundle")
        weights = {n.removeprefix("weights/"): a for n, a in arrays.items() if n.startswith("weights/")}
        optimiser = {n.removeprefix("optimiser/"): a for n, a in arrays.items() if n.startswith("optimiser/")}
        return cls(Manifest.from_json(meta["manifest"]), weights, optimiser)

    def to_file_bytes(self) -> bytes:
        """A `.pt` file: the scripted module, with manifest and optimiser as extra files inside."""
        extra = {
            "manifest.json": orjson.dumps(self.manifest.to_json(), option=orjson.OPT_SORT_KEYS),
            "optimiser.tga": pack({"format": _FORMAT, "digest": self.digest}, self.optimiser),
        }
        file = io.BytesIO()
        with _torch_jit():
            torch.jit.save(scripted(self), file, _extra_files=extra)
        return file.getvalue()

    @classmethod
    def from_file_bytes(cls, data: bytes, sha256: str | None = None) -> Bundle:
        """The bundle in a `.pt` file; nothing is unpickled but by torch.jit.load, and the file's own code never runs.

        Args:
            data: The file's bytes.
            sha256: Checksum that the bytes must have; None does not check.

        Raises:
            BundleError: The checksum is another one, or the file is not a whole bundle.
        """
        found = hashlib.sha256(data).hexdigest()
        if sha256 is not None and found != sha256:
            raise BundleError(f"bundle has checksum {found}, but {sha256} is recorded; it was changed or damaged")
        module, extra = _load(data)
        if not all(extra.values()):
            raise BundleError(f"a TorchScript file, but no Tidegauge bundle: it lacks {' or '.join(sorted(extra))}")
        try:
            meta, optimiser = unpack(extra["optimiser.tga"])
            weights = {name: tensor.detach().numpy().copy() for name, tensor in module.named_parameters()}
            bundle = cls(Manifest.from_json(orjson.loads(extra["manifest.json"])), weights, optimiser)
            written = meta["digest"]
        except (ValueError, TypeError, LookupError) as error:
            raise BundleError(f"bundle is damaged: {error}") from error
        if written != bundle.digest:
            raise BundleError(f"bundle's content has digest {bundle.digest}, but {written} is written in it")
        return bundle


def _load(data: bytes) -> tuple[torch.jit.ScriptModule, dict[str, bytes]]:
    """The module in a TorchScript file and a bundle's extra files, empty where it has none."""
    extra = {"manifest.json": b"", "optimiser.tga": b""}
    try:
        with _torch_jit():
            module = torch.jit.load(io.BytesIO(data), "cpu", extra)  # type: ignore[no-untyped-call]
    except Exception as error:  # of damaged bytes torch raises IndexError as well as RuntimeError
        first = str(error).partition(". ")[0]  # the rest is advice on torch's own files
        raise BundleError(f"not a TorchScript file: {' '.join(first.split())[:200]}") from error
    return module, extra


def write_bundle(path: Path, bundle: Bundle) -> str:
    """Writes the `.pt` file so that after a crash the old or the new one is there, whole.

    Returns:
        SHA-256 of the file, to be recorded and given to `read_bundle`.
    """
    data = bundle.to_file_bytes()
    write_atomically(path, [data])
    return hashlib.sha256(data).hexdigest()


def read_bundle(path: Path, sha256: str | None = None) -> Bundle:
    """The bundle in a `.pt` file.

    Raises:
        BundleError: As `Bundle.from_file_bytes`; the message begins with the path.
        OSError: The file cannot be read.
    """
    try:
        return Bundle.from_file_bytes(path.read_bytes(), sha256)
    except ValueError as error:
        raise BundleError(f"{path}: {error}") from error


@contextmanager
def _torch_jit() -> Iterator[None]:
    """Where torch.jit may be called: only its own deprecation is silenced."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit", DeprecationWarning)
        yield


@lru_cache(maxsize=16)
def _script(architecture: str, config: NetworkConfig) -> torch.jit.ScriptModule:
    """The scripted module of this shape, weights to be replaced; scripting takes longer than copying."""
    # The profiling executor would optimise, and so round differently, after its first runs.
    torch._C._jit_set_profiling_executor(False)
    torch._C._jit_set_profiling_mode(False)
    torch._C._jit_set_texpr_fuser_enabled(False)
    with _torch_jit():
        return torch.jit.script(build(architecture, config).eval())


def scripted(bundle: Bundle) -> torch.jit.ScriptModule:
    """A scripted module of its own with the bundle's weights."""
    module = copy.deepcopy(_script(bundle.manifest.architecture, bundle.manifest.network))
    parameters = dict(module.named_parameters())
    expected = {name: tuple(tensor.shape) for name, tensor in parameters.items()}
    found = {name: array.shape for name, array in bundle.weights.items()}
    if expected != found:
        raise BundleError(f"weights do not fit the manifest: {found} instead of {expected}")
    with torch.no_grad():
        for name, tensor in parameters.items():
            if not np.isfinite(bundle.weights[name]).all():
                raise BundleError(f"weight {name} is not finite")
            tensor.numpy()[...] = bundle.weights[name]
    return module
