"""What the engine knows of whoever trains: it hands in a request and asks for the outcome."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar, cast

from models.bundle import Bundle
from models.training_request import TrainingRequest

FailureReason = Literal["timeout", "killed", "memory", "diverged", "error"]


@dataclass(frozen=True)
class TrainingFailed:
    """A training without a result.

    Attributes:
        reason: `timeout` past its limit, `killed` with the worker, `memory`, `diverged`, or any other `error`.
        detail: One line for the log and the journal.
    """

    reason: FailureReason
    detail: str


def failed_as_recorded(reason: str | None, detail: str | None) -> TrainingFailed:
    """The failure that a record of it stands for."""
    return TrainingFailed(cast("FailureReason", reason or "error"), detail or "")


Outcome = Bundle | TrainingFailed

T = TypeVar("T")
Awaiting = Generator[str, Outcome, T]
"""Work that stops where it needs the outcome of a training: it gives the request's id, and is sent the outcome."""


def finish(work: Awaiting[T], outcome: Callable[[str], Outcome]) -> T:
    """What work comes to, given the outcomes for which it stops."""
    try:
        asked = next(work)
        while True:
            asked = work.send(outcome(asked))
    except StopIteration as done:
        value: T = done.value
        return value


class Trainer(Protocol):
    """Runs trainings in the order submitted, one after the other unless one takes long."""

    def submit(self, request: TrainingRequest, time_limit_s: float) -> None:
        """Queues a training and returns at once; a later request of the same id takes the earlier one's place.

        Args:
            request: What to train.
            time_limit_s: Seconds the training may run, counted from its start.
        """

    def result(self, request_id: str) -> Outcome:
        """Waits for the training's outcome, which is given out once.

        Raises:
            KeyError: No such training was submitted, or its outcome was given out.
        """

    def close(self) -> None:
        """Ends what runs, from any thread; trainings not done become `killed`. Safe to call twice."""


class AskableTrainer(Trainer, Protocol):
    """A trainer that can be asked whether it would have one wait."""

    def ready(self, request_id: str, call: Callable[[], None] | None = None) -> bool:
        """Whether `result` would not wait; where it would, `call` is called once it does no more, from any thread.

        Raises:
            KeyError: As `result`.
        """
