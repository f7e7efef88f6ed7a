"""What commands show while they work: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from daemon.events import Event
from daemon.words import REASON_WORDS, instant

PLAIN_EVERY_S = 5.0

WIDE = 150
"""Columns of a table that no terminal shows: whoever reads the text next has room for whole words."""

Step = Callable[[int, int], None]


def table_console() -> Console:
    """Where tables go: standard output, as wide as its terminal, or `WIDE` where it is none."""
    return Console(width=None if sys.stdout.isatty() else WIDE)


@contextmanager
def progress(title: str, quiet: bool = False) -> Iterator[Step]:
    """Gives a callable that takes what is done and what there is in all."""
    if quiet:
        yield lambda done, total: None
    elif sys.stderr.isatty():
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        ) as bars:
            task = bars.add_task(title, total=None)
            yield lambda done, total: bars.update(task, completed=done, total=total)
    else:
        yield _plain(title)


def _plain(title: str) -> Step:
    said = time.monotonic()

    def step(done: int, total: int) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said >= PLAIN_EVERY_S:
            said = now
            typer.echo(f"{title}: {100 * done / max(total, 1):.0f} %", err=True)

    return step


def event_line(event: Event) -> str:
    """One line for people about an event revision."""
    who = f"all of {event.stream}" if event.series is None else f"{event.stream}/{event.series}"
    if event.series is None and event.members:
        who = f"{event.members['count']} series of {event.stream}"
    why = ", ".join(REASON_WORDS[reason] for reason in event.reasons)
    line = f"{instant(event.at)}  {event.state:6}  {who}  {why}"
    if event.value is not None and event.expected is not None:
        line += f"  value {_numbers(event.value)}, expected {_numbers(event.expected)}"
    elif event.value is not None:
        line += f"  value {_numbers(event.value)}"
    if event.variables:
        line += f"  most by {event.variables[0]['variable']}"
    if event.rarity:
        line += f"  score {event.score:.2f}"
    return line if event.notify or event.state == "closed" else line + "  (held back)"


def _numbers(values: tuple[float, ...]) -> str:
    shown = ", ".join(f"{v:.6g}" for v in values[:4])
    return shown if len(values) <= 4 else f"{shown}, ... ({len(values)} values)"
