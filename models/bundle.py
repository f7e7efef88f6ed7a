"""A trained network as content, as a file of data, as a `.pt` file for others, and as a scripted module.

A network is scripted from this project's code, never from what a file holds, but for an operator's own model, which the
configuration allows by its SHA-256 (`models.own_files`). The only module that may name torch.jit.

torch.jit is deprecated upstream though it works in the pinned torch; its warnings are silenced here and nowhere else.
"""

from __future__ import annotations

import copy
import hashlib
import io
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import orjson
import torch

from models import own_files, own_model, safetensors_archive, torchscript_archive
from models.architectures import build, shell
from models.archive import pack, unpack
from models.atomic_file import write_atomically
from models.bundle_content import Arrays, BundleContent, Floats
from models.bundle_errors import BundleError
from models.manifest import Manifest
from models.network import NetworkConfig

__all__ = [
    "Arrays",
    "Bundle",
    "BundleError",
    "Floats",
    "Manifest",
    "own_bundle",
    "read_bundle",
    "scripted",
    "serving_network",
    "write_bundle",
]

_FORMAT = "tidegauge-bundle-1"  # of the content
_FILE_BYTES = 1 << 30


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
        if meta.get("format") != _FORMAT:
            raise BundleError("the archive holds no bundle")
        weights = {n.removeprefix("weights/"): a for n, a in arrays.items() if n.startswith("weights/")}
        optimiser = {n.removeprefix("optimiser/"): a for n, a in arrays.items() if n.startswith("optimiser/")}
        bundle = cls(Manifest.from_json(meta.get("manifest")), weights, optimiser)
        bundle.check_types()
        return bundle

    def to_file_bytes(self) -> bytes:
        """A safetensors file: data only, equal bytes for equal content."""
        return safetensors_archive.write(
            BundleContent(self.manifest.to_json(), self.weights, self.optimiser, self.digest)
        )

    def to_torchscript_bytes(self) -> bytes:
        """A `.pt` file for others: the scripted module, with manifest and optimiser as extra files inside."""
        extra = {
            torchscript_archive.MANIFEST: orjson.dumps(self.manifest.to_json(), option=orjson.OPT_SORT_KEYS),
            torchscript_archive.OPTIMISER: pack({"format": _FORMAT, "digest": self.digest}, self.optimiser),
        }
        file = io.BytesIO()
        with _torch_jit():
            torch.jit.save(scripted(self), file, _extra_files=extra)
        return file.getvalue()

    @classmethod
    def from_file_bytes(cls, data: bytes, sha256: str | None = None) -> Bundle:
        """The bundle in a file of either kind; both are read as data, and no code in them runs.

        Args:
            data: The file's bytes.
            sha256: Checksum that the bytes must have; None does not check.

        Raises:
            BundleError: The checksum is another one, or the file is not a whole bundle.
        """
        found = hashlib.sha256(data).hexdigest()
        if sha256 is not None and found != sha256:
            raise BundleError(f"bundle has checksum {found}, but {sha256} is recorded; it was changed or damaged")
        is_torchscript = data.startswith(torchscript_archive.MAGIC)
        content = torchscript_archive.read(data) if is_torchscript else safetensors_archive.read(data)
        bundle = cls(Manifest.from_json(content.manifest), content.weights, content.optimiser)
        bundle.check_types()
        if content.digest != bundle.digest:
            raise BundleError(
                f"bundle's content has digest {bundle.digest}, but {str(content.digest)[:64]} is written in it"
            )
        return bundle

    def check_types(self) -> None:
        """Whether all weights are float32. Raises BundleError."""
        others = {name: str(array.dtype) for name, array in self.weights.items() if array.dtype != np.float32}
        if others:
            raise BundleError(f"weights are not float32: {others!s:.400}")

    def check(self) -> None:
        """Whether the weights fit the manifest; no memory is taken for what the manifest says.

        Raises:
            BundleError: Shapes or names are others, or a weight is not finite.
        """
        m = self.manifest
        try:
            expected = {} if own_model.is_of(m) else _shapes(m.architecture, m.network)
        except Exception as error:  # each architecture fails in its own way on what it cannot be
            raise BundleError(f"no network has this manifest: {' '.join(str(error).split())[:200]}") from error
        found = {name: array.shape for name, array in self.weights.items()}
        if expected != found:
            raise BundleError(f"weights do not fit the manifest: {found!s:.400} instead of {expected!s:.400}")
        for name, weight in self.weights.items():
            if not np.isfinite(weight).all():
                raise BundleError(f"weight {name} is not finite")


def write_bundle(path: Path, bundle: Bundle) -> str:
    """Writes the file so that after a crash the old or the new one is there, whole.

    Args:
        path: A name that ends in `.pt` gives a TorchScript file for others, any other a safetensors file.
        bundle: What is written.

    Returns:
        SHA-256 of the file, to be recorded and given to `read_bundle`.
    """
    data = bundle.to_torchscript_bytes() if path.suffix == ".pt" else bundle.to_file_bytes()
    write_atomically(path, [data])
    return hashlib.sha256(data).hexdigest()


def read_bundle(path: Path, sha256: str | None = None) -> Bundle:
    """The bundle in a file, checked, so that a network can be made of it.

    Raises:
        BundleError: As `Bundle.from_file_bytes` and `Bundle.check`; the message begins with the path.
        OSError: The file cannot be read.
    """
    try:
        bundle = Bundle.from_file_bytes(_bytes_of(path), sha256)
        bundle.check()
    except ValueError as error:
        raise BundleError(f"{path}: {error}") from error
    return bundle


def _bytes_of(path: Path) -> bytes:
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


@contextmanager
def _torch_jit() -> Iterator[None]:
    """Where torch.jit may be called: only its own deprecation is silenced."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit", DeprecationWarning)
        yield


def _plain_executor() -> None:
    """The profiling executor would optimise, and so round differently, after its first runs."""
    torch._C._jit_set_profiling_executor(False)
    torch._C._jit_set_profiling_mode(False)
    torch._C._jit_set_texpr_fuser_enabled(False)


@lru_cache(maxsize=16)
def _script(architecture: str, config: NetworkConfig) -> torch.jit.ScriptModule:
    """The scripted module of this shape, weights to be replaced; scripting takes longer than copying."""
    _plain_executor()
    with _torch_jit():
        return torch.jit.script(build(architecture, config).eval())


def own_bundle(sha256: str, stream: str, window: int, width: int, interval_s: int, calendar: bool) -> Bundle:
    """The bundle whose network is the operator's own file with this SHA-256; it holds the checksum alone."""
    return Bundle(own_model.manifest(sha256, stream, window, width, interval_s, calendar), {}, {})


def serving_network(bundle: Bundle) -> torch.jit.ScriptModule | own_model.OwnModel:
    """What scores windows as `Network.forward` does: a scripted module with the bundle's weights, or an own model.

    Raises:
        BundleError: The bundle cannot serve.
        OwnModelError: It is an own model's, and the configuration does not let its file run.
    """
    bundle.check()
    if own_model.is_of(bundle.manifest):
        return _own(bundle.manifest)
    return scripted(bundle)


def _own(manifest: Manifest) -> own_model.OwnModel:
    """The operator's file, loaded by torch: the bytes that were checked, so nothing can come between."""
    data = own_files.checked_bytes(own_model.sha256_of(manifest), _bytes_of)
    _plain_executor()
    try:
        with _torch_jit():
            module = torch.jit.load(io.BytesIO(data), map_location="cpu").eval()  # type: ignore[no-untyped-call]
    except Exception as error:  # of what is no TorchScript file torch raises several kinds
        raise BundleError(f"model.torchscript is no TorchScript file: {str(error).strip()[:200]}") from error
    loaded = own_model.OwnModel(module, manifest)
    loaded.try_out()
    return loaded


def scripted(bundle: Bundle) -> torch.jit.ScriptModule:
    """A scripted module of its own with the bundle's weights. Raises BundleError where it has none."""
    bundle.check()
    if own_model.is_of(bundle.manifest):
        raise BundleError("an own model's bundle holds its SHA-256 alone; its file is yours")
    module = copy.deepcopy(_script(bundle.manifest.architecture, bundle.manifest.network))
    with torch.no_grad():
        for name, tensor in module.named_parameters():
            tensor.numpy()[...] = bundle.weights[name]
    return module


@lru_cache(maxsize=64)
def _shapes(architecture: str, config: NetworkConfig) -> dict[str, tuple[int, ...]]:
    """Shape of each parameter of a network, which takes no memory here.

    Of the networks that a daemon trains this asks for no arithmetic on meta tensors: the first makes torch import its
    compiler and sympy, 800 modules and seconds of a start.
    """
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in shell(architecture, config).named_parameters()}
