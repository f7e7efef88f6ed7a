"""The one way scalar code is compiled: numba, cached on disk, IEEE arithmetic, no fast-math, one thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a scalar recursion. Division by zero gives inf or NaN, as in numpy; bits never depend on the caller."""
    return cast("Callable[P, R]", numba.njit(cache=True, error_model="numpy", fastmath=False)(function))
