"""Jobs run, fail and hang without holding back each other."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from daemon.service.scheduler import Scheduler


@pytest.fixture
def forever() -> Iterator[threading.Event]:
    """Something a hung job waits for; it ends with the test."""
    event = threading.Event()
    yield event
    event.set()


def scheduled(setup: Callable[[Scheduler], None], until: Callable[[], bool], seconds: float = 5.0) -> Scheduler:
    """Run what `setup` adds until it holds."""

    async def run() -> Scheduler:
        scheduler = Scheduler()
        setup(scheduler)
        scheduler.start()
        deadline = time.monotonic() + seconds
        while not until() and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        scheduler.shutdown()
        await asyncio.sleep(0)
        return scheduler

    return asyncio.run(run())


def test_jobs_run_every_so_often() -> None:
    """Functions and coroutines alike, and nothing is skipped or failed when all is well."""
    calls: list[str] = []

    async def coroutine() -> None:
        calls.append("coroutine")

    def setup(scheduler: Scheduler) -> None:
        scheduler.every(0.05, "function", lambda: calls.append("function"))
        scheduler.every(0.05, "coroutine", coroutine)

    scheduler = scheduled(setup, lambda: min(calls.count("function"), calls.count("coroutine")) >= 3)
    assert min(calls.count("function"), calls.count("coroutine")) >= 3
    assert scheduler.skipped == scheduler.failed == {"function": 0, "coroutine": 0}


def test_a_job_can_run_at_once() -> None:
    """`at_once` does not wait for the first interval."""
    calls: list[float] = []
    began = time.monotonic()
    scheduled(lambda s: s.every(3600, "a", lambda: calls.append(time.monotonic()), at_once=True), lambda: bool(calls))
    assert calls[0] - began < 3


def test_a_hung_function_is_skipped_and_counted(forever: threading.Event) -> None:
    """A function that never returns runs once, its further runs are counted as skipped, other jobs go on."""
    started: list[int] = []
    others: list[int] = []

    def hang() -> None:
        started.append(1)
        forever.wait()

    def setup(scheduler: Scheduler) -> None:
        scheduler.every(0.05, "hung", hang)
        scheduler.every(0.05, "other", lambda: others.append(1))

    scheduler = scheduled(setup, lambda: len(others) >= 8)
    assert len(started) == 1
    assert len(others) >= 8
    assert scheduler.skipped["hung"] >= 3
    assert scheduler.skipped["other"] == 0


def test_many_hung_functions_hold_back_no_other(forever: threading.Event) -> None:
    """No pool of threads can be used up by jobs that hang."""
    others: list[int] = []

    def setup(scheduler: Scheduler) -> None:
        for number in range(40):
            scheduler.every(0.05, f"hung-{number}", forever.wait)
        scheduler.every(0.05, "other", lambda: others.append(1))

    scheduled(setup, lambda: len(others) >= 3)
    assert len(others) >= 3


def test_a_hung_function_passes_its_deadline_and_is_not_doubled(forever: threading.Event) -> None:
    """After its deadline the run counts as failed; while its thread lives no second one is started."""
    started: list[int] = []

    def hang() -> None:
        started.append(1)
        forever.wait()

    counts: list[Scheduler] = []

    def setup(scheduler: Scheduler) -> None:
        counts.append(scheduler)
        scheduler.every(0.05, "hung", hang, deadline_s=0.1)

    scheduler = scheduled(setup, lambda: counts[0].failed["hung"] == 1 and counts[0].skipped["hung"] >= 3)
    assert (len(started), scheduler.failed["hung"]) == (1, 1)
    assert scheduler.skipped["hung"] >= 3


def test_a_function_that_returns_late_runs_again() -> None:
    """Once the hung thread ends the job is back, without a restart."""
    started: list[int] = []

    def slow_once() -> None:
        started.append(1)
        if len(started) == 1:
            time.sleep(0.4)

    scheduled(lambda s: s.every(0.05, "slow", slow_once, deadline_s=0.1), lambda: len(started) >= 3)
    assert len(started) >= 3


def test_a_hung_coroutine_is_cancelled_at_its_deadline() -> None:
    """A coroutine ends at its deadline, is counted as failed, and runs again."""
    started: list[int] = []

    async def hang() -> None:
        started.append(1)
        await asyncio.sleep(3600)

    scheduler = scheduled(lambda s: s.every(0.05, "hung", hang, deadline_s=0.1), lambda: len(started) >= 3)
    assert len(started) >= 3
    assert scheduler.failed["hung"] >= 2


def test_a_job_that_raises_is_counted_and_runs_again() -> None:
    """An exception costs one run; the log names job and error."""
    calls: list[int] = []

    def broken() -> None:
        calls.append(1)
        raise RuntimeError("no room")

    scheduler = scheduled(lambda s: s.every(0.05, "broken", broken), lambda: len(calls) >= 3)
    assert scheduler.failed["broken"] >= 2
    assert scheduler.skipped["broken"] == 0


def test_a_busy_loop_makes_one_run_of_many_missed() -> None:
    """Runs missed while the loop was busy are made up for by one, not by a burst."""
    calls: list[float] = []

    def setup(scheduler: Scheduler) -> None:
        scheduler.every(0.05, "a", lambda: calls.append(time.monotonic()))
        asyncio.get_running_loop().call_later(0.1, time.sleep, 1.0)

    began = time.monotonic()
    scheduled(setup, lambda: time.monotonic() - began > 1.25)
    gap = max(later - earlier for earlier, later in itertools.pairwise(calls))
    after = [at for at in calls if at > began + 1.0]
    assert gap > 0.7
    assert 1 <= len(after) <= 7


def test_a_job_may_be_replaced_and_removed() -> None:
    """A reload gives a name a new interval and function; a removed job runs no more."""
    calls: list[str] = []

    def setup(scheduler: Scheduler) -> None:
        scheduler.every(0.05, "a", lambda: calls.append("old"))
        scheduler.every(0.05, "a", lambda: calls.append("new"))
        scheduler.every(0.05, "b", lambda: calls.append("gone"))
        scheduler.remove("b")
        scheduler.remove("never was")

    scheduled(setup, lambda: len(calls) >= 3)
    assert set(calls) == {"new"}


def test_shutdown_does_not_wait_for_a_hung_job(forever: threading.Event) -> None:
    """SIGTERM must not wait for a job that never ends; a scheduler that never started ends too."""
    Scheduler().shutdown()
    started = threading.Event()

    def hang() -> None:
        started.set()
        forever.wait()

    scheduled(lambda s: s.every(0.05, "hung", hang), started.is_set)
    assert started.is_set()
