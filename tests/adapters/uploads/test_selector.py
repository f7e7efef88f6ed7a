"""Selectors over Prometheus' labels."""

from __future__ import annotations

import pytest

from adapters.uploads.selector import notation, selector

LABELS = {"__name__": "node_load1", "instance": "web-1:9100", "job": "node", "odd": 'a"\\\nb'}


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("node_load1", True),
        ("node_load5", False),
        ('node_load1{job="node"}', True),
        ('{ job = "node" , instance =~ "web.*", }', True),
        ('{instance=~"web"}', False),  # the whole value
        (r'{instance=~"web-\\d:\d+"}', True),
        ('{job!="node"}', False),
        ('{job!~"x|y"}', True),
        ('{none=""}', True),
        ('{none!=""}', False),
        ("{job='node'}", True),
        ('{odd="a\\"\\\\\\nb"}', True),
        ('{__name__=~"node_.*", job="x}y"}', False),
    ],
)
def test_a_selector_takes_what_prometheus_would(text: str, taken: bool) -> None:
    """Names, four operators, anchored expressions, labels that are not there, quotes and escapes."""
    assert selector(text)(LABELS) is taken


@pytest.mark.parametrize("text", ["", "{}", "{job}", '{job="a"', 'job="a"', '{job="a" b="c"}', '{job=~"("}', "a b"])
def test_what_is_no_selector_says_so(text: str) -> None:
    """A mistake is found when the configuration is read, with the text in the message."""
    with pytest.raises(ValueError, match=r"not a (selector|regular expression)"):
        selector(text)


def test_without_a_template_the_name_is_prometheus_own() -> None:
    """Name and labels as Prometheus shows them."""
    assert notation(LABELS) == 'node_load1{instance="web-1:9100",job="node",odd="a\\"\\\\\\nb"}'
    assert notation({"__name__": "up"}) == "up"
