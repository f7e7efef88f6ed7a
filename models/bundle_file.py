"""Files of bundles, written so that they last, and read so that a network can be made of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from models.atomic_file import write_atomically
from models.bounded_file import bytes_of
from models.bundle import Bundle
from models.bundle_errors import BundleError
from models.scripted_network import check, torchscript_bytes


def write_bundle(path: Path, bundle: Bundle) -> str:
    """Writes the file so that after a crash the old or the new one is there, whole.

    Args:
        path: A name that ends in `.pt` gives a TorchScript file for others, any other a safetensors file.
        bundle: What is written.

    Returns:
        SHA-256 of the file, to be recorded and given to `read_bundle`.
    """
    data = torchscript_bytes(bundle) if path.suffix == ".pt" else bundle.to_file_bytes()
    write_atomically(path, [data])
    return hashlib.sha256(data).hexdigest()


def read_bundle(path: Path, sha256: str | None = None) -> Bundle:
    """The bundle in a file, checked, so that a network can be made of it.

    Raises:
        BundleError: As `Bundle.from_file_bytes` and `scripted_network.check`; the message begins with the path.
        OSError: The file cannot be read.
    """
    try:
        bundle = Bundle.from_file_bytes(bytes_of(path), sha256)
        check(bundle)
    except ValueError as error:
        raise BundleError(f"{path}: {error}") from error
    return bundle
