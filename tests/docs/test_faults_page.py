"""docs/faults.md names tests that are there."""

from __future__ import annotations

import re

from tests.conftest import ROOT

PAGE = ROOT / "docs/faults.md"
_LINK = re.compile(r"\[(test_\w+)\]\(\.\./(tests/[\w/]+\.py)\)")


def test_every_test_named_is_there() -> None:
    """Each link from a fault to a test leads to a file that has the test."""
    links = _LINK.findall(PAGE.read_text(encoding="utf-8"))
    assert links
    for name, file in links:
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file} has no {name}"


def test_every_socket_fault_has_a_test() -> None:
    """All 14 rows of the sockets' table are there, each with the tests that carry its number, or more."""
    table = PAGE.read_text(encoding="utf-8").partition("## Sockets")[2]
    rows = re.findall(r"^\| (\d+) \|.*\|(.*)\|$", table, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 15))
    for number, links in rows:
        assert f"[test_{number}_" in links, number


def test_every_row_of_the_file_tail_has_a_test() -> None:
    """All 18 rows of the file tail's table are there, each with a test."""
    table = PAGE.read_text(encoding="utf-8").partition("## File tail\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\d+) \|.*\|(.*)\|$", table, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 23))
    for number, links in rows:
        assert _LINK.search(links), number
