"""What a bundle says about itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from functools import cache
from typing import Any, Literal

import orjson
from pydantic import TypeAdapter, ValidationError

from models.bundle_errors import BundleError
from models.network_config import NetworkConfig, Option, options


@dataclass(frozen=True)
class Manifest:
    """What a bundle is and where it comes from.

    Attributes:
        architecture: A name in `models.architectures`.
        window, width, masked, copies, interval_s: As in NetworkConfig.
        options: What the architecture has beyond these; what is left out has its default.
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
    options: dict[str, Option] = field(default_factory=dict)

    @property
    def network(self) -> NetworkConfig:
        """The shapes of its network."""
        return NetworkConfig(self.window, self.width, self.masked, self.copies, self.interval_s, options(self.options))

    def to_json(self) -> dict[str, Any]:
        """The JSON object; without options that is what it was before there were any, and so is a bundle's digest."""
        values = asdict(self)
        return values if self.options else {key: value for key, value in values.items() if key != "options"}

    @classmethod
    def from_json(cls, values: Any) -> Manifest:
        """The manifest of a JSON object.

        Raises:
            BundleError: Keys are missing or unknown, or a value has another type.
        """
        names = {each.name for each in fields(cls)}
        found = set(values) if isinstance(values, dict) else set()
        lacking, unknown = sorted(names - found - {"options"}), sorted(found - names)
        if lacking or unknown:
            raise BundleError(f"manifest lacks {lacking} and has unknown {unknown!s:.400}")
        try:
            return _manifests().validate_json(orjson.dumps(values), strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise BundleError(f"manifest's {where} is {first['input']!r:.400}: {first['msg']}") from error
        except TypeError as error:  # nested deeper than can be written
            raise BundleError(f"manifest is no JSON object of one level: {error}") from error


@cache
def _manifests() -> TypeAdapter[Manifest]:
    return TypeAdapter(Manifest)
