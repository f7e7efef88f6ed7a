"""How bad an event is: by its rarity, or by what it is about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from daemon.engine.messages.events import Event
from tests.daemon.store.contents import event


@pytest.mark.parametrize(
    ("changes", "severity"),
    [
        ({}, "warning"),
        ({"rarity": 4.99}, "warning"),
        ({"rarity": 5.0}, "critical"),
        ({"reasons": ("model", "limit")}, "critical"),
        ({"reasons": ("gap",), "rarity": 0.0, "threshold": 0.0}, "warning"),
        ({"reasons": ("gap",), "members": {"count": 7, "series": []}}, "critical"),
        ({"reasons": ("drift",), "rarity": 9.0}, "info"),
        ({"reasons": ("model", "drift"), "rarity": 9.0}, "critical"),
    ],
)
def test_severity(changes: dict[str, Any], severity: str) -> None:
    """A hundred times rarer than the threshold asks is critical; so is a broken limit, and a silence of many."""
    found = replace(event("a"), **({"reasons": ("model",), "members": None, "rarity": 3.0, "threshold": 3.0} | changes))
    assert found.severity == severity
    assert found.to_json()["severity"] == severity


def test_what_was_recorded_before_is_read() -> None:
    """An event without the newer keys, and one with `severity`, which follows from the others."""
    row = event("a").to_json()
    assert Event.from_json(row) == event("a")
    older = {key: value for key, value in row.items() if key not in ("severity", "withheld")}
    assert Event.from_json(older) == event("a")
