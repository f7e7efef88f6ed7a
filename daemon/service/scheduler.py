"""Jobs that run every so often. A job that hangs is skipped and counted, and never holds back another."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from daemon.clock import wall_s
from daemon.runtime.logs import RateLimited

Job = Callable[[], object] | Callable[[], Awaitable[object]]

_GRACE_S = 60  # a run this late is still made: the loop may have been busy


class Scheduler:
    """Runs jobs on the event loop it is started in.

    Attributes:
        skipped: Runs left out, by job: the run before had not ended, or the loop was too late for it.
        failed: Runs that raised or passed their deadline, by job.
    """

    def __init__(self) -> None:
        self.skipped: dict[str, int] = {}
        self.failed: dict[str, int] = {}
        self._limited = RateLimited()
        self._busy: set[str] = set()
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self._scheduler.add_listener(self._was_skipped, EVENT_JOB_MAX_INSTANCES | EVENT_JOB_MISSED)
        self._scheduler.add_listener(self._has_failed, EVENT_JOB_ERROR)

    def every(self, seconds: float, name: str, job: Job, *, deadline_s: float = 60.0, at_once: bool = False) -> None:
        """Run `job` every so many seconds; a name that is there already is replaced.

        Args:
            seconds: Between two runs.
            name: Of the job, in metrics and log.
            job: A coroutine function runs on the loop and is cancelled at its deadline. Anything else runs in a
                thread of its own, which nothing can cancel: after its deadline the run counts as failed, and the
                job is skipped until that thread ends.
            deadline_s: Longest time a run may take.
            at_once: Whether the first run is now or after `seconds`.
        """
        self.skipped.setdefault(name, 0)
        self.failed.setdefault(name, 0)
        first = {"next_run_time": datetime.fromtimestamp(wall_s(), UTC)} if at_once else {}
        self._scheduler.add_job(
            self._run,
            "interval",
            args=(name, job, deadline_s),
            seconds=seconds,
            id=name,
            name=name,
            coalesce=True,
            max_instances=1,
            misfire_grace_time=_GRACE_S,
            replace_existing=True,
            **first,
        )

    def remove(self, name: str) -> None:
        """Run a job no more."""
        if self._scheduler.get_job(name) is not None:
            self._scheduler.remove_job(name)

    def start(self) -> None:
        """Begin, on the running event loop."""
        self._scheduler.start()

    def shutdown(self) -> None:
        """Begin no run any more; does not wait for those under way. A scheduler that never started stops too."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    async def _run(self, name: str, job: Job, deadline_s: float) -> None:
        if name in self._busy:
            self._skip(name)
            return
        async with asyncio.timeout(deadline_s):
            if inspect.iscoroutinefunction(job):
                await job()
            else:
                await self._in_thread(name, job)

    async def _in_thread(self, name: str, job: Job) -> None:
        """Run a function in a daemon thread of its own: one that never returns hinders nothing, exit included."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def finish(error: BaseException | None) -> None:
            self._busy.discard(name)
            if done.done():
                return
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

        def work() -> None:
            error: BaseException | None = None
            try:
                job()
            except BaseException as caught:
                error = caught
            try:
                loop.call_soon_threadsafe(finish, error)
            except RuntimeError:  # the loop is closed: nobody waits
                self._busy.discard(name)

        self._busy.add(name)
        threading.Thread(target=work, name=f"job-{name}", daemon=True).start()
        await done

    def _skip(self, name: str) -> None:
        self.skipped[name] = self.skipped.get(name, 0) + 1
        self._limited.warning(f"skipped {name}", "a scheduled job was skipped: its last run has not ended", job=name)

    def _was_skipped(self, event: Any) -> None:
        self._skip(event.job_id)

    def _has_failed(self, event: JobExecutionEvent) -> None:
        self.failed[event.job_id] = self.failed.get(event.job_id, 0) + 1
        late = isinstance(event.exception, TimeoutError)
        error = "passed its deadline" if late else f"{type(event.exception).__name__}: {event.exception}"
        self._limited.error(f"failed {event.job_id}", "a scheduled job failed", job=event.job_id, error=error)
