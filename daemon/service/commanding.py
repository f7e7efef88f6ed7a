"""Operators' commands to a running daemon, done in the pipeline's thread."""

from __future__ import annotations

import asyncio

from daemon.service.asking import in_pipeline
from daemon.service.pipeline import Pipeline, wall_ms
from daemon.store import ModelChecksum, ModelRecord, ModelUnknown, StoreError
from models.errors import BundleError

PATIENCE_S = 20.0  # a client waits so long; the pipeline may be waiting for a training

_HARMLESS = (ModelUnknown, ModelChecksum, BundleError)
"""Errors of a command that changed nothing."""


class Commanding:
    """Takes commands, one after the other.

    Args:
        pipeline: Does them.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._tasks: set[asyncio.Task[ModelRecord]] = set()

    async def serve(self, stream: str, version: int | None) -> ModelRecord | None:
        """Put a version into service, or the promoted one before; None while the pipeline is busy: it is done later.

        Raises:
            ValueError: It cannot serve; nothing changed.
        """
        task = asyncio.create_task(
            in_pipeline(self._pipeline, lambda p: p.durable.serve(stream, version, wall_ms()), _is_fatal)
        )
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


def _is_fatal(error: Exception) -> bool:
    """Whether the store may hold what was not applied."""
    return isinstance(error, StoreError) and not isinstance(error, _HARMLESS)
