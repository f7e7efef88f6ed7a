from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from daemon.engine.messages.training_port import TrainingFailed
from daemon.trainer import trainer as trainer_module
from daemon.trainer.trainer import InlineTrainer, WorkerTrainer
from models.bundle import Bundle
from models.training_request import TrainingRequest
from tests.models.samples import bundle, request, tuning

ROOT = Path(__file__).parents[3]


def test_a_worker_is_there_while_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is none before the first training, none some time after the last, and the next has one again."""
    monkeypatch.setattr("daemon.trainer.trainer.IDLE_S", 0.1)
    trainer = WorkerTrainer()
    try:
        assert trainer.pid is None
        for _ in range(2):
            trainer.submit(request(), 60)
            until(lambda: trainer.pid)
            pid = trainer.pid
            assert pid is not None
            assert trainer.result(request().id) == bundle()
            until(lambda: trainer.pid is None)
            assert not alive(pid)
    finally:
        trainer.close()


@pytest.fixture(scope="module")
def worker() -> Iterator[WorkerTrainer]:
    trainer = WorkerTrainer(spare_after_s=600)
    yield trainer
    trainer.close()


def long() -> TrainingRequest:
    """A training of several seconds."""
    return request(rows=6400, copies=12, slot=7)


def diverging() -> TrainingRequest:
    asked = request(slot=8)
    asked.x[3] = np.nan
    return asked


def until(condition: Callable[[], object], limit_s: float = 60) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_worker_trains_the_same_bits(worker: WorkerTrainer) -> None:
    """Fresh training and tuning come out of the worker as they do in this process, in the order submitted."""
    inline = InlineTrainer()
    for trainer in (worker, inline):
        trainer.submit(request(), 60)
        trainer.submit(tuning(), 60)
    for asked in (tuning(), request()):  # asked for in another order
        outcome = worker.result(asked.id)
        assert isinstance(outcome, Bundle)
        assert outcome == inline.result(asked.id)
    assert worker.running() is None


def test_submitting_does_not_wait(worker: WorkerTrainer) -> None:
    """Submitting returns while an earlier training runs; `running` names the one under way."""
    worker.submit(long(), 2.5)
    worker.submit(request(), 60)
    until(worker.running)
    assert worker.running() == "taxi@7-fresh"
    assert worker.result(request().id) == bundle()
    assert isinstance(worker.result(long().id), TrainingFailed)


def test_a_training_past_its_limit_has_failed(worker: WorkerTrainer) -> None:
    """It ends in a timeout at its limit; its worker is gone and the next training gets a new one."""
    worker.submit(request(), 60)  # the worker is up
    worker.result(request().id)
    old, before = worker.pid, time.monotonic()
    worker.submit(long(), 0.3)
    assert worker.result(long().id) == TrainingFailed("timeout", "taxi@7-fresh ran longer than 0.3 s")
    assert time.monotonic() - before >= 0.3
    worker.submit(request(), 60)
    assert worker.result(request().id) == bundle()
    assert worker.pid != old
    assert old is not None
    assert not alive(old)


def test_a_stopped_worker_is_killed(worker: WorkerTrainer) -> None:
    """A worker that hangs (SIGSTOP) in mid-training fails at the time limit like any other."""
    worker.submit(long(), 1)
    until(worker.running)
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGSTOP)
    outcome = worker.result(long().id)
    assert isinstance(outcome, TrainingFailed)
    assert outcome.reason == "timeout"


def test_a_hung_training_holds_back_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one training has kept another waiting for long a spare worker takes that, and ends when it is idle."""
    monkeypatch.setattr("daemon.trainer.trainer.IDLE_S", 0.1)
    before = set(threading.enumerate())
    trainer = WorkerTrainer(spare_after_s=0.1)
    try:
        trainer.submit(long(), 600)
        until(trainer.running)
        assert trainer.pid is not None
        os.kill(trainer.pid, signal.SIGSTOP)
        woken = threading.Event()
        trainer.submit(request(), 60)
        assert not trainer.ready(long().id)
        assert trainer.ready(request().id, woken.set) or woken.wait(60)
        assert trainer.result(request().id) == bundle()
        assert not trainer.ready(long().id)
        until(lambda: sum(t.name == "trainer" for t in threading.enumerate() if t not in before) == 1)
    finally:
        trainer.close()


def test_a_worker_that_starts_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """No spare worker is started for what waits for one that is starting, however long that takes."""
    begin, asked = threading.Event(), []
    assign = trainer_module._Worker.assign

    def slow(worker: trainer_module._Worker, asking: bytes, limit_s: float) -> None:
        asked.append(worker)
        begin.wait(60)
        assign(worker, asking, limit_s)

    monkeypatch.setattr(trainer_module._Worker, "assign", slow)
    trainer = WorkerTrainer(spare_after_s=0.01)
    try:
        trainer.submit(request(), 60)
        trainer.submit(tuning(), 60)
        until(lambda: asked)
        time.sleep(0.3)
        assert len(asked) == 1
        begin.set()
        assert trainer.result(request().id) == bundle()
    finally:
        begin.set()
        trainer.close()


def test_a_killed_worker_is_replaced(worker: WorkerTrainer) -> None:
    """kill -9 in mid-training fails that training only; kill -9 of an idle worker fails none."""
    worker.submit(request(), 60)
    worker.result(request().id)
    worker.submit(long(), 60)
    until(worker.running)
    time.sleep(0.2)
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    assert worker.result(long().id) == TrainingFailed("killed", "the worker process died with exit code -9")
    worker.submit(request(), 60)
    assert worker.result(request().id) == bundle()
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)  # and nothing waits for its end: it may look alive for a while
    worker.submit(request(), 60)
    assert worker.result(request().id) == bundle()


def test_signals_of_the_group_do_not_reach_the_worker(worker: WorkerTrainer) -> None:
    """Ctrl-C, SIGTERM and SIGHUP, which a terminal sends to the whole group, leave the training alone."""
    worker.submit(request(), 60)
    until(worker.running)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        assert worker.pid is not None
        os.kill(worker.pid, number)
    assert worker.result(request().id) == bundle()


@pytest.mark.parametrize("kind", ["worker", "inline"])
def test_a_failure_is_an_outcome(worker: WorkerTrainer, kind: str) -> None:
    """Diverging, and an error such as a parent of another shape, are outcomes with their reason; the worker stays."""
    trainer = worker if kind == "worker" else InlineTrainer()
    trainer.submit(diverging(), 60)
    outcome = trainer.result(diverging().id)
    assert isinstance(outcome, TrainingFailed)
    assert outcome.reason == "diverged"
    pid = worker.pid
    asked = replace(tuning(), parent=bundle(width=2))
    trainer.submit(asked, 60)
    outcome = trainer.result(asked.id)
    assert isinstance(outcome, TrainingFailed)
    assert outcome.reason == "error"
    assert "other shapes" in outcome.detail
    assert worker.pid == pid


def test_a_failed_allocation_is_its_own_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too little memory, numpy's or torch's way of saying so, is `memory`."""
    import models.training

    for error in (MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried")):

        def fail(_: TrainingRequest, error: Exception = error) -> Bundle:
            raise error

        monkeypatch.setattr(models.training, "train", fail)
        trainer = InlineTrainer()
        trainer.submit(request(), 1)
        outcome = trainer.result(request().id)
        assert isinstance(outcome, TrainingFailed)
        assert outcome.reason == "memory"


def test_an_outcome_is_given_out_once(worker: WorkerTrainer) -> None:
    """A training nobody submitted, or whose outcome was taken, is a KeyError and not a wait without end."""
    for trainer in (worker, InlineTrainer()):
        trainer.submit(request(), 60)
        trainer.result(request().id)
        with pytest.raises(KeyError):
            trainer.result(request().id)


def test_closing_ends_everything() -> None:
    """Closing kills the worker in mid-training, and what was not done is `killed`; closing again is fine."""
    trainer = WorkerTrainer()
    trainer.submit(long(), 60)
    trainer.submit(request(), 60)
    until(lambda: trainer.pid)
    pid = trainer.pid
    assert pid is not None
    trainer.close()
    trainer.close()
    assert not alive(pid)
    assert trainer.pid is None
    for asked in (long(), request()):
        assert trainer.result(asked.id) == TrainingFailed("killed", "the trainer was closed")
    with pytest.raises(RuntimeError, match="closed"):
        trainer.submit(request(), 60)


def test_a_worker_that_cannot_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a process to be had the training fails with the reason instead of hanging."""
    import daemon.trainer.trainer

    def fail() -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(daemon.trainer.trainer, "_Worker", fail)
    trainer = WorkerTrainer()
    trainer.submit(request(), 60)
    outcome = trainer.result(request().id)
    trainer.close()
    assert isinstance(outcome, TrainingFailed)
    assert outcome.reason == "error"
    assert "Resource temporarily unavailable" in outcome.detail


PROGRAM = """\
#!{python}
import sys, time
sys.path.insert(0, {root!r})
from daemon.trainer.trainer import WorkerTrainer
from tests.models.samples import bundle, request, tuning
def main():
    trainer = WorkerTrainer()
    trainer.submit(request(), 60)
    assert trainer.result(request().id) == bundle()
    trainer.submit(request(rows=6400, copies=24, slot=7), 60)
    while not trainer.running(): time.sleep(.01)
    sys.stdout.write(f"{{trainer.pid}}\\n"); sys.stdout.flush()
    if "wait" in sys.argv: time.sleep(60)
if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("end", ["kill -9", "exit"])
def test_the_worker_ends_with_its_parent(tmp_path: Path, end: str) -> None:
    """A console script's worker, in mid-training, dies with it: when it is killed, and when it ends without closing."""
    script = tmp_path / "console-script"  # no .py, as pip writes them
    script.write_text(PROGRAM.format(python=sys.executable, root=str(ROOT)))
    script.chmod(0o755)
    with subprocess.Popen([script, "wait" if end == "kill -9" else "end"], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        if end == "kill -9":
            assert alive(pid)
            parent.kill()
        assert parent.wait(10) == (-9 if end == "kill -9" else 0)
    until(lambda: not alive(pid))
