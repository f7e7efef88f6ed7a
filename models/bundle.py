"""A trained network as content, and as a file of data. Nothing here runs it: that is `models.scripted_network`'s."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from models import own_manifest, safetensors_archive, torchscript_archive
from models.archive import pack, unpack
from models.bundle_content import Arrays, BundleContent, Floats
from models.bundle_errors import BundleError
from models.manifest import Manifest

__all__ = ["FORMAT", "Arrays", "Bundle", "BundleError", "Floats", "Manifest", "own_bundle"]

FORMAT = "tidegauge-bundle-1"  # of the content


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
        return pack({"format": FORMAT, "manifest": self.manifest.to_json()}, arrays)

    @classmethod
    def from_bytes(cls, data: bytes) -> Bundle:
        """The bundle of its canonical content.

        Raises:
            ValueError: The bytes are not an archive, or not one of a bundle.
        """
        meta, arrays = unpack(data)
        if meta.get("format") != FORMAT:
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


def own_bundle(sha256: str, stream: str, window: int, width: int, interval_s: int, calendar: bool) -> Bundle:
    """The bundle whose network is the operator's own file with this SHA-256; it holds the checksum alone."""
    return Bundle(own_manifest.manifest(sha256, stream, window, width, interval_s, calendar), {}, {})
