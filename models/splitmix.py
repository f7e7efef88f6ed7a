"""splitmix64: 64 bits that look random for two whole numbers. What is drawn by it depends on nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np


def splitmix64(a: Any, b: Any) -> Any:
    """Hash of two integers, or of each of two arrays of them; plain enough for numba to compile.

    Args:
        a, b: Integers in compiled code, integer arrays elsewhere (numpy warns of an overflow of single numbers).

    Returns:
        uint64, of their common shape.

    Source:
        Steele et al. 2014, doi:10.1145/2660193.2660195.
    """
    z = np.uint64(a) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(b) * np.uint64(0xD1B54A32D192ED03)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
