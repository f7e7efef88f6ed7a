"""The one place that applies what a journal holds: recovery, streams behind it and `replay --journal` repeat by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from daemon.engine.machine.engine import Engine, StepResult
from daemon.engine.messages.inputs import Input
from daemon.store import StoreView

Progress = Callable[[int, int], None]
"""Called with entries done and entries in all."""


def repeat(
    store: StoreView,
    step: Callable[[int, Input], StepResult],
    after: int,
    progress: Progress,
    through: int | None = None,
) -> Iterator[tuple[int, StepResult]]:
    """Apply the journal's entries in their order, and yield each one's number and what the engine made of it.

    Args:
        store: Whose journal.
        step: Applies an entry, given its number and the input.
        after: Number of the entry that the engine's state includes; 0 for a new engine.
        progress: Called after each entry.
        through: The last entry; None for the newest there is.

    Raises:
        StoreError: The journal cannot be read.
        RefusedError, BundleError, ValueError, KeyError, TypeError: The engine cannot take an entry.
    """
    last = store.last_seq if through is None else through
    for seq, item in store.entries(after, through):
        yield seq, step(seq, item)
        progress(seq - after, last - after)


def concerning(store: StoreView, engine: Engine, stream: str, after: int, through: int) -> Iterator[tuple[int, Input]]:
    """The entries after `after` up to `through` that concern one stream; raises as `repeat`."""
    for seq, item in store.entries(after, through, stream):
        if stream in engine.concerned(item):
            yield seq, item
