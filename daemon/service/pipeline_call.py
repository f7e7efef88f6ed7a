"""Work for the pipeline's thread that somebody on the event loop waits for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TypeVar

from daemon.service.jobs import Settled
from daemon.service.pipeline import Pipeline

T = TypeVar("T")


async def in_pipeline(
    pipeline: Pipeline,
    work: Callable[[Pipeline], T],
    fatal: Callable[[Exception], bool] = lambda error: False,
    stream: str | None = None,
) -> T:
    """The result of `work` between two turns of the pipeline; raises what it raises.

    It is done when `stream`, or every one where none is named, has applied all that is journaled.

    Args:
        pipeline: Its thread does the work.
        work: What to do.
        fatal: Whether an error ends the pipeline too; others leave everything as it was.
        stream: The stream that the work concerns; None where it concerns all.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def finish(result: T | None, error: Exception | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(result)  # type: ignore[arg-type]
        else:
            done.set_exception(error)

    def job(pipeline: Pipeline) -> None:
        result, error = None, None
        try:
            result = work(pipeline)
        except Exception as caught:
            error = caught
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(finish, result, error)
        if error is not None and fatal(error):
            raise error

    pipeline.post(Settled(job, stream))
    return await done
