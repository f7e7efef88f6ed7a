"""The worker process that trains. `daemon.trainer.trainer` has the daemon's end of the pipe.

Over the pipe go the canonical bytes of requests one way, and back READY once, then for each request STARTED and either
BUNDLE with the bundle's canonical bytes or FAILED with reason and detail. All of that is data: nothing is unpickled on
either end but the arguments of `work`, which the daemon gives its child.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from typing import get_args

from daemon.engine.messages.training_port import FailureReason, Outcome, TrainingFailed
from models.bundle import Bundle
from models.scorer import one_thread
from models.training_request import TrainingRequest

READY, STARTED, BUNDLE, FAILED = b"R", b"S", b"B", b"F"
GROUP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # meant for the daemon, sent to its whole group
_PR_SET_PDEATHSIG = 1


def failure_of(answer: bytes) -> TrainingFailed:
    """The failure in a worker's FAILED answer."""
    reason, _, detail = answer[1:].decode().partition(" ")
    known: dict[str, FailureReason] = {r: r for r in get_args(FailureReason)}
    return TrainingFailed(known[reason], detail)


def work(pipe: Connection) -> None:
    """The worker process: trains until the parent's end of the pipe is closed."""
    parent = multiprocessing.parent_process()
    for number in GROUP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    _die_with_parent()
    if parent is None or parent.pid != os.getppid():
        return  # it died before the death signal was asked for
    # torch is imported by who trains, and not by the daemon, which has this module too
    import models.training  # noqa: F401

    os.nice(10)
    one_thread()
    # a broken pipe means that the parent is gone, and this process with it
    with contextlib.suppress(OSError, EOFError):
        pipe.send_bytes(READY)
        while True:
            data = pipe.recv_bytes()
            pipe.send_bytes(STARTED)
            outcome = _outcome_of_bytes(data)
            if isinstance(outcome, Bundle):
                pipe.send_bytes(BUNDLE + outcome.to_bytes())
            else:
                pipe.send_bytes(FAILED + f"{outcome.reason} {outcome.detail}".encode())


def _outcome_of_bytes(data: bytes) -> Outcome:
    try:
        request = TrainingRequest.from_bytes(data)
    except MemoryError as error:
        return TrainingFailed("memory", one_line(error))
    return outcome_of(request)


def outcome_of(request: TrainingRequest) -> Outcome:
    """Trains; what goes wrong in training is an outcome, not an exception."""
    from models.training import TrainingDiverged, train

    try:
        return train(request)
    except TrainingDiverged as error:
        return TrainingFailed("diverged", one_line(error))
    except MemoryError as error:
        return TrainingFailed("memory", one_line(error))
    except Exception as error:
        # torch reports a failed allocation as a plain RuntimeError
        return TrainingFailed("memory" if "allocate memory" in str(error) else "error", one_line(error))


def one_line(error: BaseException) -> str:
    """An exception in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _die_with_parent() -> None:
    """Asks Linux to kill this process when its parent dies, even by kill -9; elsewhere the pipe's end is noticed."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
