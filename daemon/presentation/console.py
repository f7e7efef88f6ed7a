"""What commands show while they work: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from adapters.text import printable, shown
from daemon.engine.messages.events import Event
from daemon.presentation.words import REASON_WORDS, instant, listed

PLAIN_EVERY_S = 5.0

WIDE = 150
"""Columns of a table that no terminal shows: whoever reads the text next has room for whole words."""


def say(text: str, err: bool = False, nl: bool = True) -> None:
    """Print text, whatever names in it came from outside: what is not printable is shown escaped.

    Args:
        text: One line or more.
        err: Whether it goes to standard error.
        nl: Whether a newline is added.
    """
    encoding = (sys.stderr if err else sys.stdout).encoding or "utf-8"
    plain = printable(text, keep="\n\t").encode(encoding, "backslashreplace").decode(encoding)
    typer.echo(plain, err=err, nl=nl)


def say_json(value: Any) -> None:
    """Print a value of JSON types in one line, valid JSON whatever text is in it."""
    say(orjson.dumps(shown(value)).decode())


class Step(Protocol):
    """Takes what is done, what there is in all, and perhaps the last figures in words."""

    def __call__(self, done: int, total: int, note: str = "", /) -> None: ...


def on_terminal() -> bool:
    """Whether standard output is a terminal; what goes elsewhere is read by programs, a line for each thing."""
    return sys.stdout.isatty()


def table_console() -> Console:
    """Where tables go: standard output, as wide as its terminal, or `WIDE` where it is none.

    Names of series come from outside, so nothing in a cell is markup: `[red]` is five characters.
    """
    return Console(width=None if on_terminal() else WIDE, markup=False, emoji=False)


def fitted(text: str) -> str:
    """Text for a narrow terminal: long lines are broken between words, their rest set in; anywhere else as it is."""
    if not on_terminal():
        return text
    room = table_console().width
    wrapped = (textwrap.wrap(line, room, subsequent_indent="    ", break_long_words=False) for line in text.split("\n"))
    return "\n".join("\n".join(lines) for lines in wrapped)


def print_table(table: Table) -> None:
    """Print a table, or, where the terminal is too narrow for it, each of its rows as lines of `column  cell`."""
    console = table_console()
    if console.measure(table, options=console.options.update(width=10_000)).maximum <= console.width:
        console.print(table)
        return
    names = [str(column.header) for column in table.columns]
    room = max(map(len, names))
    for number, cells in enumerate(zip(*(column.cells for column in table.columns), strict=True)):
        if number:
            say("")
        for name, cell in zip(names, cells, strict=True):
            if str(cell):
                say(f"{name:{room}}  {cell}")


@contextmanager
def progress(title: str, quiet: bool = False, plain: bool = False) -> Iterator[Step]:
    """Gives a callable that takes how far things are.

    Args:
        title: What is being done.
        quiet: Whether nothing is shown.
        plain: Whether lines are printed on a terminal too, because several processes share it.
    """
    title = printable(title)
    if quiet:
        yield lambda done, total, note="", /: None
    elif sys.stderr.isatty() and not plain:
        with Progress(
            TextColumn("{task.description}", markup=False),
            TextColumn("{task.fields[note]}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        ) as bars:
            task = bars.add_task(title, total=None, note="")
            yield lambda done, total, note="", /: bars.update(task, completed=done, total=total, note=note)
    else:
        yield _plain(title)


def _plain(title: str) -> Step:
    said = began = time.monotonic()
    first: int | None = None

    def step(done: int, total: int, note: str = "", /) -> None:
        nonlocal said, first
        first = done if first is None else first
        now = time.monotonic()
        if now - said >= PLAIN_EVERY_S:
            said = now
            share = f"{title}: {100 * done / max(total, 1):.0f} %"
            left = f", {_duration((now - began) / (done - first) * (total - done))} left" if done > first else ""
            say(f"{share}, {note}{left}" if note else share, err=True)

    return step


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def event_line(event: Event) -> str:
    """One line for people about an event revision: when it was said, and whether it is held back."""
    line = f"{instant(event.at)}  {event.state:6}  {_said(event)}"
    return line if event.notify or event.state == "closed" else line + _why_not(event)


def listed_line(event: Event) -> str:
    """One line for people about an event: when it began, and whether it was notified."""
    line = f"{instant(event.started_at)}  {event.state:6}  {_said(event)}"
    return line if event.notified else line + _why_not(event)


def _why_not(event: Event) -> str:
    """Why nobody was told."""
    if event.withheld:
        return "  (withheld)"
    return "  (maintenance)" if event.maintenance else "  (held back)"


def _said(event: Event) -> str:
    """Whose event it is, why, and by how much."""
    who = f"all of {event.stream}" if event.series is None else f"{event.stream}/{event.series}"
    if event.series is None and event.members:
        who = f"{event.members['count']} series of {event.stream}"
    line = f"{who}  {', '.join(REASON_WORDS[reason] for reason in event.reasons)}"
    if event.value is not None and event.expected is not None:
        line += f"  value {numbers(event.value)}, expected {numbers(event.expected)}"
    elif event.value is not None:
        line += f"  value {numbers(event.value)}"
    if event.variables:
        line += f"  most by {event.variables[0]['variable']}"
    if event.by_rule:
        line += "  rule"
    elif event.score:
        line += f"  score {event.score:.2f}"
    return line


def numbers(values: tuple[float, ...]) -> str:
    """Some values, short."""
    return listed([f"{value:.6g}" for value in values])
