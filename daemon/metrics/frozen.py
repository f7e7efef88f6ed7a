"""Values that nobody can change any more, so that any thread may read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

import numpy as np


def frozen(value: Any) -> Any:
    """`value` with every mapping and list in it copied and closed, and every array closed to whoever has the result.

    An array's numbers are not copied: they must be its own already. What is neither is given back as it is.
    """
    if isinstance(value, Mapping):
        return MappingProxyType({key: frozen(inner) for key, inner in dict(value).items()})  # dict(): at one instant
    if isinstance(value, (list, tuple)):
        return tuple(frozen(inner) for inner in value)
    if isinstance(value, np.ndarray):
        view = value.view()
        view.flags.writeable = False
        return view
    return value


class Frozen:
    """Base of a frozen data class whose attributes are `frozen` too."""

    __slots__ = ()

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]  # whatever inherits is a data class
            object.__setattr__(self, field.name, frozen(getattr(self, field.name)))
