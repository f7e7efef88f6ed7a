"""docs/complaints.md: each complaint has tests, and they are there."""

from __future__ import annotations

import re

from tests.conftest import ROOT
from tests.docs.test_references import defined


def test_every_complaint_has_tests_that_are_there() -> None:
    """Each row names a file of tests at least, and each test that it names is one of its file's."""
    text = (ROOT / "docs" / "complaints.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| .*\|$", text)[1:]
    assert len(rows) == 19
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", row)
        assert named, row
        assert [pair for pair in named if pair[1] and pair[1] not in defined(ROOT / pair[0])] == []
