"""docs/decisions.md is whole: every entry once, in the index, and in the shape that its first lines promise."""

from __future__ import annotations

import re

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")
PREFACE, *ENTRIES = re.split(r"(?m)^## ", PAGE)
STATUS = re.compile(r"\n\n(\d{4}-\d\d-\d\d) · (accepted|superseded by \"([^\"]+)\"|proposed)(; [^\n]+)?\n\n")


def title(entry: str) -> str:
    """The heading of an entry."""
    return entry.split("\n", 1)[0]


def anchor(heading: str) -> str:
    """What a link to a heading is called, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_no_heading_stands_twice() -> None:
    """A merge that keeps both sides of an entry is seen."""
    titles = [title(entry) for entry in ENTRIES]
    assert sorted({name for name in titles if titles.count(name) > 1}) == []


def test_the_index_is_the_headings() -> None:
    """Date, name and link of each entry stand in the table on top, in the order of the page."""
    rows = re.findall(r"(?m)^\| (\d{4}-\d\d-\d\d) \| \[(.+)\]\(#(.+)\) \|$", PREFACE)
    found = [STATUS.search(entry) for entry in ENTRIES]
    dates = [status[1] if status else "" for status in found]
    assert len(rows) > 50
    assert rows == [(date, title(entry), anchor(title(entry))) for date, entry in zip(dates, ENTRIES, strict=True)]


def test_entries_have_date_status_and_context() -> None:
    """Under its heading an entry says when and whether it holds, then what was found: a sentence at least."""
    titles = {title(entry) for entry in ENTRIES}
    for entry in ENTRIES:
        status = STATUS.match(entry, len(title(entry)))
        assert status, f"{title(entry)}: no line with date and status"
        assert status[3] is None or status[3] in titles, f"{title(entry)}: no entry {status[3]!r}"
        text = entry[status.end() :]
        assert re.match(r"[\w`][^\n]{40,}", text), f"{title(entry)}: begins with {text[:40]!r}"
        assert text.rstrip().endswith((".", "`", "|")), f"{title(entry)}: ends with {text[-40:]!r}"


def test_headings_stand_between_empty_lines() -> None:
    """No entry runs into the next, and each ends where the next begins: with one empty line."""
    for entry in ENTRIES[:-1]:
        assert entry.endswith("\n\n"), title(entry)
        assert not entry.endswith("\n\n\n"), title(entry)
    assert PAGE.endswith("\n")


def test_entries_cite_nothing_outside_the_repository() -> None:
    """What an entry rests on can be read by whoever has the repository."""
    assert re.findall(r"shared/[\w./]+|design page|\bhouse\.md\b", PAGE) == []
