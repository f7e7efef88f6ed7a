"""Templates that make a name of labels: of Prometheus' labels, of a topic's levels, of an event's keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from string import Formatter

LABEL = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
"""What the name of a label looks like."""


def template(text: str) -> Callable[[Mapping[str, str]], str]:
    """What makes a name of labels: `{instance}/{__name__}`; a label that a series lacks is empty.

    Raises:
        ValueError: It is no such text, or names no label.
    """
    try:
        parts = [(literal, field, spec, how) for literal, field, spec, how in Formatter().parse(text)]
    except ValueError as error:
        raise ValueError(f"not a template: {text!r}: {error}; write text with {{label}}") from None
    names = [field for _, field, _, _ in parts if field is not None]
    if not names or any(not re.fullmatch(LABEL, name) for name in names) or any(s or h for _, _, s, h in parts):
        raise ValueError(f"not a template: {text!r}; write text with {{label}}")
    return lambda labels: "".join(
        literal + ("" if field is None else labels.get(field, "")) for literal, field, _, _ in parts
    )
