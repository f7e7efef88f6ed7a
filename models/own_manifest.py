"""What a bundle says whose network is the operator's own file: its checksum, and nothing else of it."""

from __future__ import annotations

import re

from models.architecture_names import OWN
from models.bundle_errors import BundleError
from models.manifest import Manifest

_SHA256 = re.compile(r"[0-9a-f]{64}")


def manifest(sha256: str, stream: str, window: int, width: int, interval_s: int, calendar: bool) -> Manifest:
    """What the bundle says whose network is the file with this SHA-256."""
    return Manifest(
        architecture=OWN,
        window=window,
        width=width,
        masked=0,
        copies=1,
        interval_s=interval_s,
        daily=calendar,
        weekly=calendar,
        stream=stream,
        seed=0,
        kind="fresh",
        trained_from=None,
        trained_to=None,
        windows=0,
        parent=None,
        loss=0.0,
        versions={},
        options={"sha256": sha256},
    )


def is_of(made: Manifest) -> bool:
    """Whether the manifest is of an own model, checked. Raises BundleError where it names no checksum."""
    return made.architecture == OWN and bool(sha256_of(made))


def sha256_of(made: Manifest) -> str:
    """The file's checksum. Raises BundleError where the manifest has none, or more than that."""
    found = made.options.get("sha256")
    if set(made.options) != {"sha256"} or not isinstance(found, str) or not _SHA256.fullmatch(found):
        raise BundleError("an own model's manifest names one SHA-256, and this one does not")
    return found
