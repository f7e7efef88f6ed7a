"""What commands print: names from outside are text, whatever they look like."""

from __future__ import annotations

import io
import sys
from dataclasses import replace

import pytest
from rich.table import Table

from daemon.engine.messages.events import REASONS
from daemon.presentation.console import event_line, listed_line, progress, table_console
from daemon.presentation.event_words import fact_rows
from daemon.presentation.words import REASON_WORDS
from tests.daemon.store.contents import event

MARKUP = ["[red]meter[/red]", "[link=file:///etc/passwd]m[/link]", "[/]", "[bold", ":boom:", "[@click=app.quit]x[/]"]


@pytest.mark.parametrize("name", MARKUP)
def test_a_name_in_a_table_is_text(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Markup, links, closing tags without an opening one and emoji codes come out as they are, and raise nothing."""
    table = Table("series")
    table.add_row(name)
    table_console().print(table)
    table_console().print(name)
    assert capsys.readouterr().out.count(name) == 2


@pytest.mark.parametrize("name", MARKUP)
def test_a_name_in_progress_is_text(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file or a stream of such a name is read with a bar on a terminal as any other is."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with progress(name) as step:
        step(1, 2, name)
    assert name in terminal.getvalue()


def test_every_reason_has_words() -> None:
    """Beside the enumeration of reasons there is no other list that could lack one."""
    assert tuple(REASON_WORDS) == REASONS


def test_what_the_budget_of_a_stream_withheld_is_called_so() -> None:
    """In lists, among revisions and in the words of the event; not once it was told."""
    waits = replace(event("a"), notify=False, withheld=True)
    assert listed_line(waits).endswith("  (withheld)") and event_line(waits).endswith("  (withheld)")
    assert dict(fact_rows(waits, [waits]))["told"].endswith("withheld by the stream's budget")
    told = replace(waits, revision=1, notify=True, notified=True, withheld=False)
    assert "withheld" not in listed_line(told) + event_line(told) + str(fact_rows(told, [waits, told]))
