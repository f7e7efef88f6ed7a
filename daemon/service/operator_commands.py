"""Operators' commands to a running daemon, done in the pipeline's thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from daemon.clock import wall_ms
from daemon.runtime.exclusion import WantedExclusion, exclude
from daemon.runtime.label_evidence import UnwantedLabel, WantedLabel, label, take_back
from daemon.runtime.maintenance_windows import UnwantedWindow, WantedWindow, add_window, end_window
from daemon.runtime.recorded_trainer import StoppedError
from daemon.service.pipeline import Pipeline
from daemon.service.pipeline_call import in_pipeline
from daemon.service.what_if_job import WhatIfJob
from daemon.store import ModelChecksum, ModelRecord, ModelUnknown, StoreError
from daemon.web.operator_port import WantedWhatIf
from models.bundle_errors import BundleError

T = TypeVar("T")

PATIENCE_S = 20.0  # a client waits so long; the stream may be waiting for a training

_HARMLESS = (ModelUnknown, ModelChecksum, BundleError)
"""Errors of a command that changed nothing."""


class OperatorCommands:
    """Takes commands, one after the other.

    Args:
        pipeline: Does them.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._what_if = WhatIfJob(lambda: pipeline.settings)
        self._tasks: set[asyncio.Task[Any]] = set()

    async def serve(self, stream: str, version: int | None) -> ModelRecord | None:
        """Put a version into service, or the promoted one before; None while the pipeline is busy: it is done later.

        Raises:
            ValueError: It cannot serve; nothing changed.
        """
        return await self._do(stream, lambda p: p.durable.serve(stream, version, wall_ms()))

    async def label(self, wanted: WantedLabel) -> dict[str, Any] | None:
        """Have the engine learn from a label; None while the pipeline is busy: it is done later.

        Raises:
            ValueError: It cannot be applied, or is given already; nothing changed.
        """
        return await self._do(wanted.stream, lambda p: label(p.durable, wanted, wall_ms()))

    async def take_back(self, unwanted: UnwantedLabel) -> dict[str, Any] | None:
        """Take a label back; None while the pipeline is busy: it is done later.

        Raises:
            ValueError: There is none that could be; nothing changed.
        """
        return await self._do(unwanted.stream, lambda p: take_back(p.durable, unwanted, wall_ms()))

    async def exclude(self, wanted: WantedExclusion) -> dict[str, Any] | None:
        """Take a period out of all that was learned; None while that is not done yet.

        Raises:
            ValueError: It cannot be done, or is done already; nothing changed.
        """
        return await self._do(wanted.stream, lambda p: _excluded(p, wanted))

    async def add_window(self, wanted: WantedWindow) -> dict[str, Any] | None:
        """Add a maintenance window; None while the pipeline is busy: it is done later.

        Raises:
            ValueError: It cannot be; nothing changed.
        """
        return await self._do(wanted.stream, lambda p: add_window(p.durable, wanted, wall_ms()))

    async def end_window(self, unwanted: UnwantedWindow) -> dict[str, Any] | None:
        """End a maintenance window that was added; None while the pipeline is busy: it is done later.

        Raises:
            ValueError: There is none; nothing changed.
        """
        return await self._do(None, lambda p: end_window(p.durable, unwanted, wall_ms()))

    async def what_if(self, wanted: WantedWhatIf) -> dict[str, Any]:
        """Begin to repeat the past under another policy, beside the pipeline; raises as `WhatIfJob.start`."""
        return self._what_if.start(wanted)

    def what_if_so_far(self) -> dict[str, Any]:
        """The newest what-if."""
        return self._what_if.so_far

    async def close(self) -> None:
        """End what runs beside the pipeline."""
        await self._what_if.close()

    async def _do(self, stream: str | None, work: Callable[[Pipeline], T]) -> T | None:
        """The result of a command, None while the pipeline is busy; raises ValueError where it changed nothing."""
        task = asyncio.create_task(in_pipeline(self._pipeline, partial(_shown, work), _is_fatal, stream))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        done, _ = await asyncio.wait({task}, timeout=PATIENCE_S)
        if not done:
            task.add_done_callback(lambda late: late.cancelled() or late.exception())
            return None
        try:
            return await task
        except _HARMLESS as error:
            raise ValueError(str(error)) from None


def _shown(work: Callable[[Pipeline], T], pipeline: Pipeline) -> T:
    """Do it, and take a picture, so that the page that is asked for next shows what was done."""
    result = work(pipeline)
    pipeline.publish()
    return result


def _excluded(pipeline: Pipeline, wanted: WantedExclusion) -> dict[str, Any]:
    """Take a period out. Nothing is read while the past is repeated, and `ready` says so."""
    try:
        found = exclude(pipeline.durable, wanted, wall_ms())
    finally:
        pipeline.readiness.phase = ""
    pipeline.checkpoint()
    return found


def _is_fatal(error: Exception) -> bool:
    """Whether the store may hold what was not applied."""
    return isinstance(error, StoreError | StoppedError) and not isinstance(error, _HARMLESS)
