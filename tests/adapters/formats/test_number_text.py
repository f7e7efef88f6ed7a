"""Rules for numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.formats.number_text import LARGEST, read_number
from adapters.formats.stamps import OK, REASON


@given(st.floats(-LARGEST, LARGEST), st.sampled_from([repr, "{:.17e}".format, "{:+.17g}".format]))
def test_number_equals_float(value: float, write: object) -> None:
    """A number is Python's float of its text, bit for bit."""
    text = write(value)  # type: ignore[operator]
    got, reason = read_number(f" {text} ")
    assert reason == OK
    assert got.hex() == float(text).hex()


@pytest.mark.parametrize(
    ("text", "decimal", "reason"),
    [
        ("", ".", "missing_value"),
        ("  ", ".", "missing_value"),
        ("NaN", ".", "not_finite"),
        ("-inf", ".", "not_finite"),
        ("1e999", ".", "not_finite"),
        ("-1.1e30", ".", "not_finite"),
        ("3,5", ".", "bad_value"),
        ("3.5", ",", "bad_value"),
        ("1_000", ".", "bad_value"),
        ("٣", ".", "bad_value"),
        ("0x10", ".", "bad_value"),
        ("5 kW", ".", "bad_value"),
    ],
)
def test_number_is_refused(text: str, decimal: str, reason: str) -> None:
    """What is no finite number has its reason."""
    assert read_number(text, decimal) == (0.0, REASON[reason])
