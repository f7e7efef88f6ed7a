"""Prometheus' labels: selectors that choose series by them, and the name that it shows of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from adapters.name_template import LABEL

_METRIC = re.compile(rf"\s*({LABEL})?\s*")
_MATCHER = re.compile(rf"""\s*({LABEL})\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*(,|(?=\}}))""")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "t": "\t", "\\": "\\", '"': '"', "'": "'"}

Chooses = Callable[[Mapping[str, str]], bool]
"""Whether a selector takes a series with these labels."""


def selector(text: str) -> Chooses:
    """A series selector such as `node_load1{job="node", instance=~"web.*"}`, as Prometheus reads it.

    Regular expressions are those of Python, and must fit a whole value; a label that a series lacks is empty.

    Raises:
        ValueError: It is none; the message says where.
    """
    head = _METRIC.match(text)
    assert head is not None
    matchers: list[tuple[str, str, str]] = [("__name__", "=", head[1])] if head[1] else []
    rest = text[head.end() :]
    if rest:
        if not rest.startswith("{") or not rest.rstrip().endswith("}"):
            raise ValueError(f'not a selector: {text!r}; write name{{label="value"}}')
        rest = rest[1:].rstrip()
        while rest.strip() != "}":
            found = _MATCHER.match(rest)
            if found is None:
                raise ValueError(f'not a selector: {text!r}, at {rest[:20]!r}; write label="value"')
            matchers.append((found[1], found[2], _value(found[3][1:-1])))
            rest = rest[found.end() :]
    if not matchers:
        raise ValueError(f"not a selector: {text!r} chooses nothing; name a metric or a label")
    tests = [_test(*matcher) for matcher in matchers]
    return lambda labels: all(test(labels) for test in tests)


def _value(quoted: str) -> str:
    """What stands between quotes; a backslash before what needs none there stays, as regular expressions have it."""
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[0]), quoted)


def _test(name: str, operator: str, value: str) -> Chooses:
    if "~" not in operator:
        return lambda labels: (labels.get(name, "") == value) == (operator == "=")
    try:
        pattern = re.compile(value)
    except re.error as error:
        raise ValueError(f"not a regular expression: {value!r}: {error}") from None
    return lambda labels: (pattern.fullmatch(labels.get(name, "")) is not None) == (operator == "=~")


def notation(labels: Mapping[str, str]) -> str:
    """The name that Prometheus shows: `node_load1{instance="a",job="node"}`."""
    pairs = [f'{name}="{_escaped(value)}"' for name, value in sorted(labels.items()) if name != "__name__"]
    return labels.get("__name__", "") + (f"{{{','.join(pairs)}}}" if pairs else "")


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
