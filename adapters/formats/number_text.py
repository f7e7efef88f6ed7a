"""Texts of numbers: plain ones, and as people write them, with a unit, separators of thousands, words for "missing"."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from math import isfinite

import numpy as np
import numpy.typing as npt

from adapters.format_kind import FormatChoices
from adapters.formats.stamps import BLANKS, OK, REASON

LARGEST = 1e30
"""Numbers of this size may be summed and squared in float64, and what is expected of them held in float32."""
_SPACES = " \u00a0\u2007\u2009\u202f"
_MISSING = (0.0, REASON["missing_value"])
_BAD = (0.0, REASON["bad_value"])

Numbers = tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]
"""Values, shape (N,), and reasons, shape (N,), uint8; a value is 0.0 unless its reason is OK."""


def read_number(text: str, decimal: str = ".") -> tuple[float, int]:
    """`(value, reason)` of a number; the value is exactly Python's `float(text)`, 0.0 unless the reason is OK.

    Underscores and digits of other scripts, which Python would take, are `bad_value`. So is a point where the decimal
    separator is a comma: it may stand for thousands.
    """
    text = text.strip(BLANKS)
    if not text:
        return _MISSING
    if "_" in text or not text.isascii() or not text.isprintable() or (decimal == "," and "." in text):
        return _BAD
    try:
        value = float(text.replace(",", ".") if decimal == "," else text)
    except ValueError:
        return _BAD
    return checked(value)


def checked(value: float) -> tuple[float, int]:
    """`(value, reason)` of a number that was read."""
    return (value, OK) if abs(value) <= LARGEST else (0.0, REASON["not_finite"])


def checked_all(values: npt.NDArray[np.float64]) -> Numbers:
    """`checked` of a column."""
    fine = np.abs(values) <= LARGEST
    return np.where(fine, values, 0.0), np.where(fine, OK, REASON["not_finite"]).astype(np.uint8)


def read_numbers(texts: list[str], decimal: str = ".") -> Numbers:
    """`read_number` of a column."""
    joined = "\n".join(texts)
    if "_" not in joined and joined.isascii() and not (decimal == "," and "." in joined):
        plain = joined.replace(",", ".").split("\n") if decimal == "," else texts
        try:
            values = np.fromiter(map(float, plain), np.float64, len(texts))
        except ValueError:
            pass
        else:
            return checked_all(values)
    return read_each(texts, lambda text: read_number(text, decimal))


def read_each(texts: list[str], read: Callable[[str], tuple[float, int]]) -> Numbers:
    """A column read one by one."""
    pairs = [read(text) for text in texts]
    return np.array([v for v, _ in pairs], np.float64), np.array([r for _, r in pairs], np.uint8)


class NumberReader:
    """Reads the numbers of one stream.

    Args:
        decimal: Decimal separator, "." or ",".
        thousands: What stands between groups of digits, which must be whole groups: "1,234.5", not "12,34"; "" for
            nothing, a space for any kind of space.
        unit: What may stand behind a number, in any case; "" for nothing.
        missing: Texts and numbers that stand for a value that is not there: `missing_value`.

    Raises:
        ValueError: `thousands` is the decimal separator.
    """

    def __init__(
        self, decimal: str = ".", thousands: str = "", unit: str = "", missing: Sequence[str | float] = ()
    ) -> None:
        if thousands == decimal:
            raise ValueError(f"thousands and decimal are both {decimal!r}")
        self._decimal, self._unit = decimal, unit.casefold()
        self._marks = (
            "" if not thousands else _SPACES if thousands == " " else "'\u2019" if thousands == "'" else thousands
        )
        mark, point = f"[{re.escape(self._marks or chr(0))}]", re.escape(decimal)
        self._grouped = re.compile(rf"[+-]?\d{{1,3}}(?:{mark}\d{{2,3}})*{mark}\d{{3}}(?:{point}\d*)?", re.ASCII)
        self._unmarked = str.maketrans(dict.fromkeys(self._marks, None))
        self._words = frozenset(str(each).strip(BLANKS) for each in missing)
        values = [float(each) for each in missing if _is_finite(each)]
        self._values = np.array(sorted(set(values)), np.float64)
        self._plain = not (thousands or unit)

    def read(self, text: str) -> tuple[float, int]:
        """`(value, reason)` of a text."""
        text = text.strip(BLANKS)
        if text in self._words:
            return _MISSING
        if self._unit and text.casefold().endswith(self._unit):
            text = text[: len(text) - len(self._unit)].rstrip(BLANKS)
        if self._marks and any(mark in text for mark in self._marks):
            if not self._grouped.fullmatch(text):
                return _BAD
            text = text.translate(self._unmarked)
        value, reason = read_number(text, self._decimal)
        return self.judge(value) if reason == OK else (value, reason)

    def read_column(self, texts: list[str]) -> Numbers:
        """`read` of a column."""
        if not self._plain:
            return read_each(texts, self.read)
        values, reasons = read_numbers(texts, self._decimal)
        for row in np.flatnonzero(reasons != OK).tolist() if self._words else ():
            if texts[row].strip(BLANKS) in self._words:
                reasons[row] = REASON["missing_value"]
        return self.judge_all(values, reasons)

    def judge(self, value: float) -> tuple[float, int]:
        """`(value, reason)` of a number that was read from no text."""
        return _MISSING if len(self._values) and value in self._values else checked(value)

    def judge_all(self, values: npt.NDArray[np.float64], reasons: npt.NDArray[np.uint8]) -> Numbers:
        """`judge` of a column of which some had a reason already."""
        if len(self._values):
            absent = (reasons == OK) & np.isin(values, self._values)
            values, reasons = np.where(absent, 0.0, values), np.where(absent, REASON["missing_value"], reasons)
        return values, reasons.astype(np.uint8)


def _is_finite(each: str | float) -> bool:
    try:
        return isfinite(float(each))
    except ValueError:
        return False


def numbers_of(choices: FormatChoices) -> NumberReader:
    """The reader that the configuration describes."""
    return NumberReader(choices.decimal, choices.thousands or "", choices.unit or "", choices.missing)
