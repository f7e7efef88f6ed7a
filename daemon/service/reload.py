"""Reading the configuration again while the daemon runs: what may change, and how all of it changes or nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from daemon.clock import wall_s
from daemon.config.change import RefusedError, changes
from daemon.config.file import ConfigError, load
from daemon.config.settings import Settings, StreamSettings
from daemon.runtime import logs
from daemon.service.pipeline import Pipeline
from daemon.service.pipeline_call import in_pipeline
from daemon.store import StoreError
from daemon.web.door import Door
from models.bundle_errors import BundleError

log = logging.getLogger(__name__)

PATIENCE_S = 20.0  # a client waits so long for a reload; a stream may be waiting for a training

_NEW_STATE = "the state was built on it; set it back, or restart with another state_dir"
_RETRAIN = (
    "a network in service keeps the shape it was trained in; set it back, or restart: it holds for first trainings"
)


class ReloadRefusedError(ValueError):
    """The configuration was not taken over; nothing changed. One line each says why."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Reloader:
    """Takes the configuration file over again, one reload after the other.

    Args:
        config: The file.
        pipeline: Goes on under the new settings.
        door: The HTTP server.
        changed: Called on the loop with the settings that hold now.

    Attributes:
        successful: Whether the newest reload was taken over; the start counts as one that went well.
        success_at: When one last was, epoch seconds.
    """

    def __init__(self, config: Path, pipeline: Pipeline, door: Door, changed: Callable[[Settings], None]) -> None:
        self.successful, self.success_at = True, wall_s()
        self._config, self._pipeline, self._door, self._changed = config, pipeline, door, changed
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, patience_s: float = PATIENCE_S) -> bool:
        """Reload; returns whether that is done, which it is not when the pipeline is busy for longer than `patience_s`.

        Raises:
            ReloadRefusedError: The file is not taken over; all is as it was before.
        """
        task = asyncio.create_task(self._reload())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        done, _ = await asyncio.wait({task}, timeout=patience_s)
        if done:
            await task
        else:
            task.add_done_callback(lambda late: late.cancelled() or late.exception())
        return bool(done)

    async def _reload(self) -> None:
        async with self._lock:
            before = self._pipeline.settings
            try:
                settings = await self._take_over(before)
            except ReloadRefusedError as error:
                self.successful = False
                for problem in error.problems:
                    log.error("configuration not taken over", extra={"problem": problem})
                raise
            else:
                self.successful, self.success_at = True, wall_s()
                keys = ", ".join(key for key, _ in changes(before, settings))
                log.info("configuration taken over", extra={"changed": keys or "nothing"})
            finally:
                self._changed(self._pipeline.settings)

    async def _take_over(self, before: Settings) -> Settings:
        try:
            settings = await asyncio.to_thread(load, self._config, serving=True)
            if problems := refusals(before, settings):
                raise ReloadRefusedError(problems)
            prepared = await self._door.prepare(settings.http)
        except ConfigError as error:
            raise ReloadRefusedError([str(problem) for problem in error.problems]) from None
        except OSError as error:
            raise ReloadRefusedError([str(error.strerror)]) from None
        try:
            await in_pipeline(self._pipeline, lambda pipeline: pipeline.take_over(settings))
        except (OSError, StoreError, BundleError, RefusedError) as error:
            await prepared.abandon()
            raise ReloadRefusedError([str(error)]) from None
        try:
            await self._door.use(prepared)
        except Exception as error:
            await in_pipeline(self._pipeline, lambda pipeline: pipeline.take_over(before))
            raise ReloadRefusedError([f"http: {error}; all is as it was before"]) from error
        logs.configure(settings.log.level, settings.log.format)
        return settings


def refusals(old: Settings, new: Settings) -> list[str]:
    """Each change that a running daemon cannot make, by key, with the remedy; empty when all can be made."""
    found = [text for key, effect in changes(old, new) if (text := _refusal(key, effect))]
    for name in sorted(old.streams.keys() & new.streams.keys()):
        found += _of_sources(name, old.streams[name], new.streams[name])
    return found


def _refusal(key: str, effect: str) -> str:
    if effect == "live":
        return ""
    if key == "state_dir":
        return "state_dir: the state directory is in use; set it back, or restart"
    if key.count(".") == 1 and key.startswith("streams."):
        return f"{key}: the file lacks this stream, which has a state; put it back, or restart with another state_dir"
    return f"{key}: {_RETRAIN if effect == 'retrain' else _NEW_STATE}"


def _of_sources(name: str, old: StreamSettings, new: StreamSettings) -> Iterator[str]:
    """Changes of a stream's sources that would lose readings or read them twice."""
    key = f"streams.{name}.sources"
    if old.sources == new.sources and old.format == new.format:
        return
    same = old.format == new.format
    stays = [one for one, other in zip(old.sources, new.sources, strict=False) if same and one == other]
    if any(source.type == "stdin" and source not in stays for source in (*old.sources, *new.sources)):
        yield f"{key}: standard input can be opened once only; set the stream's sources and format back, or restart"
    moved = [
        i for i, source in enumerate(old.sources) if source in new.sources and source not in new.sources[i : i + 1]
    ]
    if moved:
        yield f"{key}[{moved[0]}]: positions are kept by place in this list; keep it there, and add sources at the end"
