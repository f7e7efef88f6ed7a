"""What a bundle says about itself."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Literal

import orjson
from pydantic import TypeAdapter, ValidationError

from models.autoencoders import NetworkConfig
from models.errors import BundleError


@dataclass(frozen=True)
class Manifest:
    """What a bundle is and where it comes from.

    Attributes:
        interval_s: Seconds between two slots.
        daily, weekly: Whether the calendar's columns were in use.
        trained_from, trained_to: Epoch seconds of the first and last slot seen in training; None when unknown.
        windows: How many windows training saw.
        parent: Digest of the bundle that was tuned; None for a fresh one.
        loss: Training loss of one copy at the end.
        versions: Versions of torch, numpy and python.
    """

    architecture: str
    window: int
    width: int
    masked: int
    copies: int
    interval_s: int
    daily: bool
    weekly: bool
    stream: str
    seed: int
    kind: Literal["fresh", "tune"]
    trained_from: int | None
    trained_to: int | None
    windows: int
    parent: str | None
    loss: float
    versions: dict[str, str]

    @property
    def network(self) -> NetworkConfig:
        """The shapes of its network."""
        return NetworkConfig(self.window, self.width, self.masked, self.copies)

    @classmethod
    def from_json(cls, values: Any) -> Manifest:
        """The manifest of a JSON object.

        Raises:
            BundleError: Keys are missing or unknown, or a value has another type.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(values, dict) or set(values) != names:
            found = set(values) if isinstance(values, dict) else set()
            raise BundleError(f"manifest lacks {sorted(names - found)} and has unknown {sorted(found - names)}")
        try:
            return _manifests().validate_json(orjson.dumps(values), strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise BundleError(f"manifest's {where} is {first['input']!r}: {first['msg']}") from error


@cache
def _manifests() -> TypeAdapter[Manifest]:
    return TypeAdapter(Manifest)
