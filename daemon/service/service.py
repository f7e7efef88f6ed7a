"""The daemon: the pipeline's thread, and around it HTTP, schedule, signals and systemd on an asyncio loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daemon.config.change import RefusedError
from daemon.config.settings import Settings
from daemon.metrics.collector import Durations
from daemon.presentation.words import instant, plural
from daemon.service.operator_commands import OperatorCommands
from daemon.service.pipeline import Pipeline
from daemon.service.reload import Reloader, ReloadRefusedError
from daemon.service.scheduler import Scheduler
from daemon.service.systemd import Notifier
from daemon.store import StoreUnusable
from daemon.trainer.trainer import WorkerTrainer
from daemon.web import routes, summary
from daemon.web.control import Control
from daemon.web.door import Door
from daemon.web.records import Records
from daemon.web.web_auth import Access
from daemon.web.write_routes import Commands
from models.bundle_errors import BundleError

log = logging.getLogger(__name__)

TICK_S = 10.0
TIDY_S = 3600.0
LOOK_S = 2.0  # between two looks at the web-config file
STUCK_S = 60.0  # without a turn of the pipeline, the daemon is not healthy
STEP_S = 300  # what one step of a start may take, seconds: a slow machine compiles for minutes
CONFIGURATION = 78  # exit status, sysexits.h EX_CONFIG


def run(settings: Settings, config: Path, again: threading.Event) -> int:
    """Run the daemon until SIGTERM, SIGINT or the end of standard input; returns the exit status.

    Args:
        settings: What `config` says.
        config: The file, which SIGHUP has read again.
        again: Set when a SIGHUP came after the file was read, and before this has a handler for it.

    Raises:
        ConfigError: The web-config file cannot be used.
        OSError: The HTTP address cannot be listened on.
    """
    durations = Durations()
    trainer = WorkerTrainer(observe=lambda stream, seconds: durations.observe("training", seconds, stream))
    with contextlib.closing(trainer):
        return asyncio.run(_serve(Pipeline(settings, trainer, durations), config, again))


async def _serve(pipeline: Pipeline, config: Path, again: threading.Event) -> int:
    service = _Service(pipeline, config)
    await service.open()
    if again.is_set():
        service.hang_up()
    thread = threading.Thread(target=pipeline.run, name="pipeline", daemon=True)
    thread.start()
    try:
        await service.watch()
    finally:
        service.leave()
        pipeline.stop()
        await asyncio.get_running_loop().run_in_executor(None, thread.join)
        await service.close()
    return _status_of(pipeline.error)


class _Service:
    """What surrounds the pipeline.

    Args:
        pipeline: Its thread is started by the caller, between `open` and `watch`.
        config: The configuration file.
    """

    def __init__(self, pipeline: Pipeline, config: Path) -> None:
        self._pipeline = pipeline
        self._notifier, self._scheduler = Notifier(), Scheduler()
        self._stop, self._announced = asyncio.Event(), False
        self._checkpoint_every_s = 0
        self._wanted = False
        self._by_signal: asyncio.Task[None] | None = None
        access = Access()
        self._commanding = commanding = OperatorCommands(pipeline)
        app = routes.make_app(
            lambda: pipeline.picture,
            Records(pipeline.settings.state_dir),
            healthy=lambda: _alive(pipeline),
            ready=lambda: (pipeline.ready, pipeline.readiness.why_not or _troubles(pipeline)),
            reload=self._reload,
            access=access,
            inboxes=pipeline.inboxes,
            commands=Commands(commanding, lambda: pipeline.settings.http.token_file),
        )
        self._door = Door(app, access, pipeline.settings.http)
        self._control = Control(
            commanding,
            lambda: summary.status(pipeline.picture, None if pipeline.ready else pipeline.readiness.why_not),
        )
        self._reloading = Reloader(config, pipeline, self._door, self._after_reload)

    async def open(self) -> None:
        """Take signals, listen for HTTP, and begin the schedule."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self.hang_up)
        await self._door.open()
        pipeline, scheduler = self._pipeline, self._scheduler
        scheduler.every(TICK_S, "tick", lambda: pipeline.post(Pipeline.tick))
        scheduler.every(TIDY_S, "tidy", lambda: pipeline.post(Pipeline.tidy))
        scheduler.every(LOOK_S, "web_config", self._door.look_again)
        self._after_reload(pipeline.settings)
        scheduler.start()

    async def watch(self) -> None:
        """Feed systemd by the pipeline's progress, until the daemon is to stop."""
        pipeline, notifier = self._pipeline, self._notifier
        every_s = min(1.0, notifier.watchdog_s or 1.0)
        fed = 0.0
        while not self._stop.is_set() and not pipeline.finished.is_set():
            if pipeline.waiting or pipeline.beat != fed:
                fed = pipeline.beat
                notifier.watchdog()
                if not self._announced:
                    notifier.extend(STEP_S)
            if pipeline.ready and not self._announced:
                await self._take_commands()
                notifier.ready()
                self._announced = True
            notifier.status(_words(pipeline))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), every_s if self._announced else 0.2)

    async def _take_commands(self) -> None:
        """The pipeline holds the state directory's lock now, so the socket in it may be taken."""
        try:
            await self._control.open(self._pipeline.settings.state_dir)
        except OSError as error:  # such as a full disk
            log.error("no control socket: models are promoted with the daemon stopped", extra={"error": str(error)})

    def leave(self) -> None:
        """Begin nothing any more."""
        self._notifier.stopping("stopping")
        self._scheduler.shutdown()

    async def close(self) -> None:
        """Close the HTTP server and the control socket."""
        await self._control.close()
        await self._commanding.close()
        await self._door.close()

    def hang_up(self) -> None:
        """SIGHUP: reload, once more when it comes while one is under way."""
        self._wanted = True
        if self._by_signal is None or self._by_signal.done():
            self._by_signal = asyncio.create_task(self._reload_by_signal())

    async def _reload_by_signal(self) -> None:
        while self._wanted:
            self._wanted = False
            with contextlib.suppress(ReloadRefusedError):  # it is in the log
                await self._reload()

    async def _reload(self) -> bool:
        """Reload, and tell systemd."""
        if self._announced:
            self._notifier.reloading()
        try:
            return await self._reloading.ask()
        finally:
            if self._announced:
                self._notifier.ready()

    def _after_reload(self, settings: Settings) -> None:
        if settings.checkpoint.every != self._checkpoint_every_s:
            self._checkpoint_every_s = settings.checkpoint.every
            self._scheduler.every(
                self._checkpoint_every_s, "checkpoint", lambda: self._pipeline.post(Pipeline.checkpoint)
            )
        self._tell_metrics()

    def _tell_metrics(self) -> None:
        self._pipeline.process = {
            "skipped": self._scheduler.skipped,
            "failed": self._scheduler.failed,
            "reload_successful": self._reloading.successful,
            "reload_success_at": self._reloading.success_at,
        }


def _alive(pipeline: Pipeline) -> bool:
    """Whether the pipeline made progress lately, or waits for a training as a whole."""
    return pipeline.waiting or time.monotonic() - pipeline.beat < STUCK_S


def _troubles(pipeline: Pipeline) -> str:
    """What of the daemon waits or is down while the rest goes on."""
    waiting = ["waiting for a training"] if pipeline.waiting else []
    waiting += [_behind(name, each) for name, each in sorted(pipeline.behind.items())]
    return "; ".join(waiting + [f"{name} is down: {error}" for name, error in sorted(pipeline.down.items())])


def _behind(stream: str, status: Mapping[str, Any]) -> str:
    """What a stream waits for, and since when."""
    inputs = plural(status["inputs"], "input")
    if status["training"] is None:
        return f"{stream} makes up for {inputs} journaled while it waited"
    return f"{stream} waits for training {status['training']} since {instant(int(status['since']))}, {inputs} with it"


def _words(pipeline: Pipeline) -> str:
    if not pipeline.ready:
        return pipeline.readiness.why_not
    streams = pipeline.picture.streams.values()
    readings, series = sum(s.accepted for s in streams), sum(len(s.series) for s in streams)
    episodes = sum(s.open_episodes for s in streams)
    troubles = _troubles(pipeline)
    words = f"{plural(readings, 'reading')} of {series} series, {plural(episodes, 'open episode')}"
    return f"{troubles}; {words}" if troubles else words


def _status_of(error: BaseException | None) -> int:
    if error is None:
        return os.EX_OK
    return CONFIGURATION if isinstance(error, RefusedError | BundleError | StoreUnusable) else 1
