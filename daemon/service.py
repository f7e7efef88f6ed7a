"""The daemon: the pipeline's thread, and around it HTTP, schedule, signals and systemd on an asyncio loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
import time

from daemon import web
from daemon.config import NeedsNewStateError
from daemon.metrics import Durations
from daemon.pipeline import Pipeline
from daemon.scheduler import Scheduler
from daemon.settings import Settings
from daemon.systemd import Notifier
from daemon.trainer import WorkerTrainer

log = logging.getLogger(__name__)

TICK_S = 10.0
TIDY_S = 3600.0
STUCK_S = 60.0  # without a turn of the pipeline, the watchdog is no longer fed
CONFIGURATION = 78  # exit status, sysexits.h EX_CONFIG


def run(settings: Settings) -> int:
    """Run the daemon until SIGTERM, SIGINT or the end of standard input; returns the exit status.

    Raises:
        OSError: The HTTP address cannot be listened on.
    """
    durations = Durations()
    trainer = WorkerTrainer(observe=lambda stream, seconds: durations.observe("training", seconds, stream))
    with contextlib.closing(trainer):
        return asyncio.run(_serve(settings, Pipeline(settings, trainer, durations)))


async def _serve(settings: Settings, pipeline: Pipeline) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    app = web.make_app(
        lambda: pipeline.picture,
        web.store_events(settings.state_dir),
        healthy=lambda: _alive(pipeline),
        ready=lambda: (pipeline.ready, pipeline.why_not),
        max_series=settings.metrics.max_series,
    )
    runner, port = await web.serve(app, settings.http.address)
    host = settings.http.address[0]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    log.info("listening", extra={"address": address})
    scheduler, notifier = _schedule(settings, pipeline), Notifier()
    thread = threading.Thread(target=pipeline.run, name="pipeline", daemon=True)
    thread.start()
    try:
        await _watch(pipeline, stop, notifier)
    finally:
        notifier.stopping()
        scheduler.shutdown()
        pipeline.stop()
        await loop.run_in_executor(None, thread.join)
        await runner.cleanup()
    return _status_of(pipeline.error)


def _schedule(settings: Settings, pipeline: Pipeline) -> Scheduler:
    scheduler = Scheduler()
    scheduler.every(TICK_S, "tick", lambda: pipeline.post(Pipeline.tick))
    scheduler.every(settings.checkpoint.every, "checkpoint", lambda: pipeline.post(Pipeline.checkpoint))
    scheduler.every(TIDY_S, "tidy", lambda: pipeline.post(Pipeline.tidy))
    scheduler.start()
    pipeline.scheduled = {"skipped": scheduler.skipped, "failed": scheduler.failed}
    return scheduler


async def _watch(pipeline: Pipeline, stop: asyncio.Event, notifier: Notifier) -> None:
    """Feed systemd until the daemon is to stop: readiness once, then words and the watchdog by progress."""
    announced = False
    while not stop.is_set() and not pipeline.finished.is_set():
        if pipeline.ready and not announced:
            notifier.ready()
            announced = True
        if _alive(pipeline):
            notifier.watchdog()
        notifier.status(_words(pipeline))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 0.2 if not announced else 1.0)


def _alive(pipeline: Pipeline) -> bool:
    """Whether the pipeline made progress lately, or waits for a training."""
    return pipeline.waiting or time.monotonic() - pipeline.beat < STUCK_S


def _words(pipeline: Pipeline) -> str:
    if not pipeline.ready:
        return pipeline.why_not
    streams = pipeline.picture.streams.values()
    return (
        f"{sum(s.accepted for s in streams)} readings of {sum(len(s.series) for s in streams)} series, "
        f"{sum(s.open_episodes for s in streams)} open episodes"
    )


def _status_of(error: BaseException | None) -> int:
    if error is None:
        return os.EX_OK
    return CONFIGURATION if isinstance(error, NeedsNewStateError) else 1
