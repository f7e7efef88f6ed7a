"""Trainings that go wrong in a real worker: each is survived and counted, and the model in service goes on."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import daemon.cli.model_commands  # noqa: F401 - adds its commands
from adapters.base import REJECTIONS
from daemon.cli.main import app
from daemon.engine.messages.inputs import Configured
from daemon.metrics.collector import Picture, make_registry
from daemon.metrics.exposition import expose
from daemon.metrics.snapshot import snapshots
from daemon.runtime.durable import DurableEngine
from daemon.store import Store
from daemon.trainer.trainer import WorkerTrainer
from models.training_request import TrainingRequest
from tests.daemon.engine.small_engines import FIRST, STREAM, PureTrainer, batch, config, noise

SMALL = {"warm_up": 96 * 1800, "model": {"retrain_every": 40, "apply_after": 4, "time_limit": 1}}

Meddle = Callable[["MeddledWorker", TrainingRequest], TrainingRequest]


class MeddledWorker(WorkerTrainer):
    """A worker whose trainings at some slots are meddled with.

    Attributes:
        at: Slot, counted from the stream's first, and what is done to the training there.
    """

    at: dict[int, Meddle]

    def submit(self, request: TrainingRequest, time_limit_s: float) -> None:
        """Give the limit to the training that hangs only: a slow machine shall not fail the others."""
        meddle = self.at.get(request.slot - FIRST)
        changed = request if meddle is None else meddle(self, request)
        super().submit(changed, time_limit_s if meddle is hung else 60)
        if meddle is killed:
            threading.Thread(target=self._kill, args=(request.id,)).start()

    def _kill(self, request_id: str) -> None:
        until(lambda: self.running() == request_id)
        while self.running() == request_id and (pid := self.pid) is not None:
            with_signal(pid)


def with_signal(pid: int) -> None:
    """kill -9, whether or not it is there still."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        time.sleep(0.001)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.0005)


def hung(worker: MeddledWorker, request: TrainingRequest) -> TrainingRequest:
    """Far more than a second's work: 4000 steps of a fresh training instead of a hundred."""

    def many(array: np.ndarray) -> np.ndarray:
        return np.tile(array, (4000 // len(array) * 16, *[1] * (array.ndim - 1)))

    return replace(request, x=many(request.x), observed=many(request.observed), calendar=many(request.calendar))


def killed(worker: MeddledWorker, request: TrainingRequest) -> TrainingRequest:
    """kill -9 once it runs, see `MeddledWorker.submit`; it is long, else it might be over before."""
    return hung(worker, request)


def diverged(worker: MeddledWorker, request: TrainingRequest) -> TrainingRequest:
    """A window that is not a number."""
    x = request.x.copy()
    x[:] = np.nan
    return replace(request, x=x)


def exploding(worker: MeddledWorker, request: TrainingRequest) -> TrainingRequest:
    """Values that are finite and whose squares are not."""
    return replace(request, x=np.full_like(request.x, 1e30))


def poisoned(worker: MeddledWorker, request: TrainingRequest) -> TrainingRequest:
    """Windows of garbage."""
    x = np.random.default_rng(request.slot).uniform(-3, 4, request.x.shape)
    return replace(request, x=x.astype(np.float32))


@pytest.fixture(scope="module")
def worker() -> Iterator[MeddledWorker]:
    made = MeddledWorker()
    yield made
    made.close()


def test_each_is_survived_counted_and_recorded(tmp_path: Path, worker: MeddledWorker) -> None:
    """Hung, killed, diverged twice, poisoned, one after the other; trainings between and after them are promoted.

    Recovery comes to the same state from the records alone, in which failures are failures still.
    """
    worker.at = {95: hung, 231: killed, 271: diverged, 311: exploding, 391: poisoned}
    with Store.open(tmp_path) as store:
        durable = DurableEngine(store, worker)
        durable.apply([Configured(config(**SMALL))], {}, 0)
        champions = []
        for slot in range(0, 480, 20):
            durable.apply([batch(noise(range(slot, slot + 20)))], {}, 0)
            champion = durable.engine.streams[STREAM].learner.champion
            champions.append(None if champion is None else champion.digest[:8])
        learner = durable.engine.streams[STREAM].learner
        records = store.models(STREAM)
        said = [(r.request_id.split("@")[1], r.status, r.reason) for r in records]
        by_slot = {int(r.request_id.split("@")[1].split("-")[0]) - FIRST: r for r in records}
        assert {slot: (by_slot[slot].status, by_slot[slot].reason) for slot in (95, 231, 271, 311)} == {
            95: ("failed", "timeout"),
            231: ("failed", "killed"),
            271: ("failed", "diverged"),
            311: ("failed", "diverged"),
        }, said
        assert by_slot[391].status == "rejected"
        assert learner.outcomes == {"promoted": len(records) - 5, "rejected": 1, "failed": 4, "skipped": 0}
        assert by_slot[111].status == by_slot[351].status == by_slot[431].status == "promoted", said
        # in service from slot 191 + 4 to 351 + 4: three failures in a row changed nothing
        assert len(set(champions[10:17])) == 1
        assert learner.failures == {"timeout": 1, "killed": 1, "memory": 0, "diverged": 2, "error": 0}
        expect_visible(durable, tmp_path)
        digest = durable.digest()
        again = DurableEngine(store, trainer := PureTrainer())
        again.recover()
        assert again.digest() == digest
        assert trainer.calls == []


def expect_visible(durable: DurableEngine, state: Path) -> None:
    """Each outcome is in the metrics and in `models list`."""
    picture = Picture(snapshots(durable.engine, REJECTIONS, durable.version), {}, {}, {}, 0.0)
    text = expose(make_registry(lambda: picture), "text/plain")[0].decode()
    for name, value in (
        ('fine_tunes_total{outcome="failed",stream="s"}', 4),
        ('fine_tunes_total{outcome="rejected",stream="s"}', 1),
        ('training_failures_total{reason="timeout",stream="s"}', 1),
        ('training_failures_total{reason="killed",stream="s"}', 1),
        ('training_failures_total{reason="memory",stream="s"}', 0),
        ('training_failures_total{reason="diverged",stream="s"}', 2),
    ):
        found = re.search(rf"^tidegauge_{re.escape(name)} (\S+)$", text, re.MULTILINE)
        assert found and float(found[1]) == value, name
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["models", "list", "--state", str(state)])
    rows = [row for row in result.output.splitlines() if "failed" in row or "rejected" in row]
    why = [next(w for w in ("timeout", "killed", "diverged", "worse error") if w in row) for row in rows]
    assert why == ["timeout", "killed", "diverged", "diverged", "worse error"]


def test_a_training_out_of_memory_is_survived(tmp_path: Path, worker: MeddledWorker) -> None:
    """The worker may allocate no more; the training fails, and the next one, with memory again, is promoted."""
    import resource

    def starve(trainer: MeddledWorker, request: TrainingRequest) -> TrainingRequest:
        until(lambda: trainer.pid is not None and trainer.running() is None)
        assert trainer.pid is not None
        used = int(Path(f"/proc/{trainer.pid}/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.prlimit(trainer.pid, resource.RLIMIT_AS, (used + (8 << 20), resource.RLIM_INFINITY))
        return hung(trainer, request)

    def feed(trainer: MeddledWorker, request: TrainingRequest) -> TrainingRequest:
        assert trainer.pid is not None
        resource.prlimit(trainer.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        return request

    worker.at = {135: starve, 175: feed}
    roomy = SMALL | {"model": {"retrain_every": 40, "apply_after": 4, "time_limit": 60}}
    with Store.open(tmp_path) as store:
        durable = DurableEngine(store, worker)
        durable.apply([Configured(config(**roomy))], {}, 0)
        durable.apply([batch(noise(range(200)))], {}, 0)
        failed, after = store.models(STREAM)[1:]
        assert (failed.status, failed.reason) in [("failed", "memory"), ("failed", "killed")]
        assert after.status == "promoted"
        assert durable.engine.streams[STREAM].learner.failures[failed.reason or ""] == 1
