"""Work for another thread: done in order, and once however often it was asked for."""

from __future__ import annotations

import pytest

from daemon.service.jobs import Jobs


def test_a_job_waits_once_however_often_it_is_posted() -> None:
    """Posted twice while it waits it is done once; posted after it was done it is done again."""
    jobs: Jobs[list[str]] = Jobs()
    done: list[str] = []

    def tick(done: list[str]) -> None:
        done.append("tick")

    jobs.post(tick)
    jobs.post(lambda done: done.append("tidy"))
    jobs.post(tick)
    assert len(jobs) == 2
    assert jobs.run(done)
    jobs.post(tick)
    assert jobs.run(done)
    assert done == ["tick", "tidy", "tick"]
    assert not jobs.run(done)


def test_a_job_that_fails_leaves_the_others_waiting() -> None:
    """Its error reaches whoever runs the jobs; it can be posted again."""
    jobs: Jobs[list[str]] = Jobs()
    done: list[str] = []

    def fail(done: list[str]) -> None:
        raise OSError("no room")

    jobs.post(fail)
    jobs.post(lambda done: done.append("tidy"))
    with pytest.raises(OSError, match="no room"):
        jobs.run(done)
    jobs.post(fail)
    assert len(jobs) == 2


def test_what_may_not_be_done_yet_keeps_its_place() -> None:
    """It holds back no other job, counts as waiting, is not posted twice, and is done before later ones when it may."""
    jobs: Jobs[list[str]] = Jobs()
    done: list[str] = []

    def first(found: list[str]) -> None:
        found.append("first")

    def second(found: list[str]) -> None:
        found.append("second")

    jobs.post(first)
    jobs.post(second)
    assert jobs.run(done, lambda job: job is not first)
    assert (done, len(jobs), jobs.held) == (["second"], 1, [first])
    jobs.post(first)
    assert not jobs.run(done, lambda job: job is not first)
    jobs.post(second)
    assert jobs.run(done)
    assert (done, len(jobs), jobs.held) == (["second", "first", "second"], 0, [])
