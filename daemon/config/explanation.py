"""What pydantic finds wrong with a configuration, in our words: the key, what is there, and what to do."""

from __future__ import annotations

import difflib
from typing import Any

import orjson
from pydantic_core import ErrorDetails

from daemon.config.document import Where, dotted
from daemon.config.schema import NAME, keys, names_at
from daemon.config.sections import ConflictError
from daemon.config.units import format_duration, format_size

_WRONG_TYPE = {
    "int_type": "not a whole number; write digits without quotes",
    "float_type": "not a number; write digits without quotes, with '.' as decimal separator",
    "bool_type": "neither true nor false; write one of the two, without quotes",
    "string_type": "not text; put it in quotes if it is meant as text",
    "path_type": "not a path; put it in quotes if it is meant as one",
    "list_type": "not a list; write one item a line, each after '- '",
    "dict_type": "not a section; write its keys below it, indented",
    "model_type": "not a section; write its keys below it, indented",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "below the least allowed, {0}; set {0} or more"),
    "greater_than": ("gt", "not above {0}; set more than {0}"),
    "less_than_equal": ("le", "above the most allowed, {0}; set {0} or less"),
    "less_than": ("lt", "not below {0}; set less than {0}"),
}


def shown(value: Any) -> str:
    """A value for a message: short, one line, text in quotes."""
    text = "empty" if value is None else orjson.dumps(value, default=str).decode()
    return text if len(text) <= 60 else f"{text[:57]}..."


def explain(detail: ErrorDetails, data: Any, hidden: int = 0) -> tuple[Where, str]:
    """Where an error of pydantic's is, and the line that says it in our words.

    Args:
        detail: The error.
        data: What was validated.
        hidden: So many names at the beginning of the key are left out of the line.
    """
    where: Where = tuple(detail["loc"])
    error = detail.get("ctx", {}).get("error")
    if isinstance(error, ConflictError):
        where = (*where, *error.key.split(".")) if error.key else where
        return where, f"{dotted(where[hidden:])} {error.text}"
    name = dotted(where[hidden:])
    if detail["type"] == "extra_forbidden":
        return where, f"{name} is not a known key; {_did_you_mean(where)}"
    if detail["type"] == "missing":
        return where, f"{name} is missing; add {where[-1]}: with at least one stream's name and keys below it"
    for part in where:  # not detail's input, which may be seconds already
        data = data[part]
    return where, f"{name} is {shown(data)}, {_why(detail['type'], detail, data)}"


def _why(kind: str, detail: ErrorDetails, value: Any) -> str:
    """What is wrong with one value, and the remedy."""
    context = detail.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return f"not one of the choices; set {context['expected'].replace(chr(39), '')}"
    if kind in _BOUNDS:
        name, text = _BOUNDS[kind]
        return text.format(_bound(context[name], value))
    if kind in {"too_short", "string_too_short"}:
        return f"too short; it needs at least {context['min_length']}"
    if kind == "string_too_long":
        return f"too long; it may have at most {context['max_length']} characters"
    return _WRONG_TYPE.get(kind, detail["msg"])


def _bound(bound: Any, value: Any) -> str:
    """A limit in the unit of the value that broke it."""
    if not isinstance(value, str):
        return str(bound)
    return format_size(bound) if value.endswith("B") else format_duration(bound)


def _did_you_mean(where: Where) -> str:
    """The remedy for an unknown key: its neighbour in spelling, the section it belongs in, or all there are."""
    name, names = str(where[-1]), names_at(where[:-1])
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.75)
    elsewhere = [key.path for key in keys() if key.name == name]
    if where[0] == "streams" and len(where) > 1:
        elsewhere = [path.replace(NAME, str(where[1])) for path in elsewhere]
    if close or elsewhere:
        return f"did you mean {' or '.join(close or elsewhere)}?"
    return f"remove it, or use one of {', '.join(names)}"
