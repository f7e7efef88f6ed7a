"""A trained network as content, as a `.pt` file, and at work. The only file that may name torch.jit.

torch.jit is deprecated upstream though it works in the pinned torch; its warnings are silenced here and nowhere else.
"""

from __future__ import annotations

import copy
import hashlib
import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
import torch

from models.architectures import build
from models.archive import pack, unpack
from models.errors import BundleError
from models.manifest import Manifest
from models.network import CALENDAR, NetworkConfig

__all__ = [
    "Bundle",
    "BundleError",
    "Manifest",
    "Scorer",
    "Scores",
    "one_thread",
    "read_bundle",
    "scripted",
    "write_bundle",
]

Floats = npt.NDArray[np.float32]
Arrays = dict[str, npt.NDArray[Any]]
_SIZES = (512, 128, 32)  # rows of a padded batch; larger ones take more than twice as long per row (page faults)
_LARGE_SIZES = (32, 8)  # where intermediate results are large, padding costs more; below 8 rows bits differ
_LARGE = 1 << 15  # numbers in the largest intermediate result of one window
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
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
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


class Scores(NamedTuple):
    """Scores of N windows, in units of `x`; see Network.forward."""

    expected: Floats  # (N, F)
    newest: Floats  # (N, F)
    rms: Floats  # (N,)
    slot_error: Floats  # (N, W)


class Scorer:
    """A bundle at work. A window's scores have the same bits in whatever batch and place it comes.

    Raises:
        BundleError: The weights do not fit the manifest, or this machine's bits depend on the batch.
    """

    def __init__(self, bundle: Bundle) -> None:
        one_thread()
        self.manifest = bundle.manifest
        self._module = scripted(bundle)
        self._sizes = _LARGE_SIZES if int(self._module.numbers) > _LARGE else _SIZES
        self.self_test()

    def score(self, x: Floats, observed: npt.NDArray[np.bool_], calendar: Floats) -> Scores:
        """Scores of N windows, N = 0 too.

        Args:
            x: Scaled windows, gaps filled with the last value, shape (N, W, F).
            observed: False where a slot is a gap, shape (N, W).
            calendar: `features.calendar` of each window's last slot, shape (N, 4).

        Raises:
            ValueError: The shapes do not fit the bundle or each other.
        """
        window, width, count = self.manifest.window, self.manifest.width, len(x)
        shapes = (x.shape[1:], observed.shape, calendar.shape)
        if shapes != ((window, width), (count, window), (count, CALENDAR)):
            raise ValueError(f"the bundle takes windows of ({window}, {width}) for each row, not {shapes}")
        shape = ((count, width), (count, width), (count,), (count, window))
        scores = Scores(*(np.empty(s, np.float32) for s in shape))
        start = 0
        for size in _cuts(self._sizes, count):
            rows = slice(start, min(start + size, count))
            for out, part in zip(scores, self._run(size, x[rows], observed[rows], calendar[rows]), strict=True):
                out[rows] = part.numpy()[: rows.stop - start]
            start = rows.stop
        return scores

    def self_test(self) -> None:
        """Compares one row at all padded sizes and several places.

        Raises:
            BundleError: The bits differ, so results would depend on how readings are cut into batches.
        """
        rng = np.random.default_rng(0)
        window, width = self.manifest.window, self.manifest.width
        most = self._sizes[0]
        x = rng.random((most, window, width), np.float32)
        observed = rng.random((most, window)) < 0.9
        calendar = rng.random((most, CALENDAR), np.float32)
        places = [place for place in (0, 1, 7, 30, 31, 100, 127, 300, 510, 511) if place < most]
        x[places], observed[places], calendar[places] = x[0], observed[0], calendar[0]
        seen = [
            tuple(part[at].numpy().tobytes() for part in parts)
            for size in self._sizes
            for parts in [self._run(size, x[:size], observed[:size], calendar[:size])]
            for at in places
            if at < size
        ]
        if len(set(seen)) != 1:
            raise BundleError(
                "the same window scores differently by its place in the batch on this machine; not serving"
            )

    def _run(self, size: int, x: Floats, observed: npt.NDArray[np.bool_], calendar: Floats) -> tuple[torch.Tensor, ...]:
        """One padded batch. torch's own buffers, because a product's bits may depend on how memory is aligned."""
        count = len(x)
        buffers = (
            torch.zeros(size, self.manifest.window, self.manifest.width),
            torch.ones(size, self.manifest.window, dtype=torch.bool),
            torch.zeros(size, CALENDAR),
        )
        for buffer, part in zip(buffers, (x, observed, calendar), strict=True):
            buffer.numpy()[:count] = part
        with torch.inference_mode():
            parts: tuple[torch.Tensor, ...] = self._module(*buffers)
        return parts


def one_thread() -> None:
    """Fixes torch to one intra-op thread: with two, a row's bits depend on the batch."""
    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)


def _cuts(sizes: tuple[int, ...], count: int) -> Iterator[int]:
    """Padded sizes, greatest first, that hold `count` rows, at most half of each empty but for the smallest."""
    for size in sizes:
        while count > (size // 2 if size > sizes[-1] else 0):
            yield size
            count -= size


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
