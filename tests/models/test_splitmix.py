"""splitmix64 in compiled code, over arrays, and by its definition in whole numbers of Python are one function."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from daemon.engine.learning.reservoir import mix
from models.splitmix import splitmix64

WORD = (1 << 64) - 1


def by_definition(a: int, b: int) -> int:
    z = a * 0x9E3779B97F4A7C15 + b * 0xD1B54A32D192ED03 & WORD
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & WORD
    z = (z ^ z >> 27) * 0x94D049BB133111EB & WORD
    return z ^ z >> 31


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_all_ways_agree(a: int, b: int) -> None:
    """Also for negative numbers, which count as their two's complement."""
    expected = by_definition(a & WORD, b & WORD)
    assert int(mix(a, b)) == expected
    assert splitmix64(np.array([a]), np.array([b])).tolist() == [expected]
