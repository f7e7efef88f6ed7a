"""Templates that make a name of labels."""

from __future__ import annotations

import pytest

from adapters.name_template import template

LABELS = {"__name__": "node_load1", "instance": "web-1:9100", "job": "node"}


def test_a_template_makes_a_name() -> None:
    """Labels by their names, those that are not there empty, braces doubled for themselves."""
    assert template("{instance}/{__name__}{none} {{x}}")(LABELS) == "web-1:9100/node_load1 {x}"


@pytest.mark.parametrize("text", ["plain", "{", "{a.b}", "{a[0]}", "{a!r}", "{a:>9}", "{}", "{0}"])
def test_what_is_no_template_says_so(text: str) -> None:
    """Text without a label would make all series one; attributes, indices and formats are no labels."""
    with pytest.raises(ValueError, match="not a template"):
        template(text)
