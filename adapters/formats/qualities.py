"""Words and flags for the quality of a value: measured, estimated, put in its place, or missing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from adapters.base import QUALITIES
from adapters.formats.stamps import BLANKS, OK, REASON

ESTIMATED, SUBSTITUTED, MISSING = 1, 2, 3
_USUAL: Mapping[str, tuple[str, ...]] = {
    "actual": (
        *("", "a", "act", "actual", "m", "measured", "r", "real", "read", "reading", "raw", "reel", "réelle", "réel"),
        *("v", "valid", "validated", "verified", "good", "ok", "revenue quality"),
    ),
    "estimated": (
        *("e", "est", "estim", "estimate", "estimated", "estimada", "estimado", "estimé", "estimée", "calculated"),
        *("c", "forecast", "projected", "p", "provisional", "interpolated"),
    ),
    "substituted": (
        *("s", "sub", "substitute", "substituted", "f", "final", "final substitute", "final substituted"),
        *("corrected", "edited", "manual", "manually edited", "replaced"),
    ),
    "missing": ("n", "none", "null", "missing", "bad", "invalid", "failed", "absent", "no data", "na", "n/a"),
}
"""What senders write, in small letters; the letters are those of NEM12, whose method number may follow."""
_WITH_METHOD = re.compile(r"([aefnsAEFNS])\d{2}", re.ASCII)


class QualityReader:
    """Reads the quality column of one stream.

    Args:
        given: Texts of each of `QUALITIES` by its name, which go before what is usual; case does not matter.
    """

    def __init__(self, given: Mapping[str, Sequence[str]] | None = None) -> None:
        self._known: dict[str, tuple[int, int]] = {}
        for words in (_USUAL, given or {}):
            for code, name in enumerate(QUALITIES):
                reason = REASON["missing_value"] if code == MISSING else OK
                self._known.update((word.strip(BLANKS).casefold(), (code, reason)) for word in words.get(name, ()))

    def read(self, text: str) -> tuple[int, int]:
        """`(index into QUALITIES, reason)`; a value that is said to be missing is `missing_value`."""
        text = text.strip(BLANKS).casefold()
        found = self._known.get(text)
        if found is None and (match := _WITH_METHOD.fullmatch(text)):
            found = self._known.get(match[1])
        return found or (0, REASON["bad_quality"])

    def read_cell(self, cell: object) -> tuple[int, int]:
        """`read` of a text or of a whole number or truth value as JSON writes it; nothing at all is actual."""
        if cell is None:
            return 0, OK
        if type(cell) is bool:
            return self.read("true" if cell else "false")
        return self.read(str(cell)) if type(cell) in (str, int) else (0, REASON["bad_quality"])

    def read_column(self, texts: list[str]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.uint8]]:
        """`read` of a column: indices, shape (N,), int8, and reasons, shape (N,), uint8."""
        known = {text: self.read(text) for text in dict.fromkeys(texts)}
        pairs = [known[text] for text in texts]
        return np.array([q for q, _ in pairs], np.int8), np.array([r for _, r in pairs], np.uint8)
