"""Writes that wait for room."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, NoReturn, ParamSpec, Protocol, TypeVar

from daemon.store.errors import StoreFull

WhenFull = Callable[[StoreFull], None]
"""Called when there is no room: returns when the write is to be tried again, or raises."""


class _Waits(Protocol):
    when_full: WhenFull


Self = TypeVar("Self", bound=_Waits)
P = ParamSpec("P")
T = TypeVar("T")


def give_up(error: StoreFull) -> NoReturn:
    """What is done without anybody to wait: the write fails."""
    raise error


def patient(write: Callable[Concatenate[Self, P], T]) -> Callable[Concatenate[Self, P], T]:
    """A method that changes everything or nothing, tried again for as long as its object's `when_full` returns."""

    @functools.wraps(write)
    def tried(self: Self, /, *args: P.args, **kwargs: P.kwargs) -> T:
        while True:
            try:
                return write(self, *args, **kwargs)
            except StoreFull as error:
                self.when_full(error)

    return tried
