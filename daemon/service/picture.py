"""The picture that metrics, page and status are made of: engine, sources, store and process at one instant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.base import REJECTIONS
from daemon.clock import wall_s
from daemon.config.settings import Settings
from daemon.metrics.collector import Durations, Picture
from daemon.metrics.snapshot import snapshots
from daemon.runtime.durable import DurableEngine
from daemon.service.source_set import SourceSet


def picture_of(
    durable: DurableEngine | None,
    sourcing: SourceSet,
    settings: Settings,
    durations: Durations,
    process: Mapping[str, object],
    sinks: Mapping[str, Mapping[str, float]] | None = None,
    writers: Mapping[str, Mapping[str, float]] | None = None,
) -> Picture:
    """The picture between two steps.

    Args:
        durable: The engine; None before the state directory is open.
        sourcing: All sources.
        settings: The configuration in force.
        durations: How long things took.
        process: What the picture says of the process.
        sinks: `Delivery.status`; none before they are open.
        writers: `MetricWriters.status`, likewise.
    """
    return Picture(
        streams={} if durable is None else snapshots(durable.engine, REJECTIONS, durable.version),
        sources=sourcing.status(),
        store={} if durable is None else _gauges(durable),
        process=process,
        taken_at=wall_s(),
        max_series=settings.metrics.max_series,
        durations=durations.taken(),
        sinks=sinks or {},
        writers=writers or {},
        refusals=sourcing.refusals(),
        shard=(settings.shard.index, settings.shard.of),
    )


def _gauges(durable: DurableEngine) -> dict[str, Any]:
    store = durable.store
    return {
        "checkpoint_at_ms": store.checkpoint_at_ms,
        "checkpoint_bytes": store.checkpoint_bytes,
        "checkpoint_failures": store.checkpoint_failures,
        "checkpoint_mismatches": store.checkpoint_mismatches,
        "quarantined": store.quarantined,
        "lost": store.lost,
        "journal_seq": durable.seq,
        "state_dir": str(store.directory),
    }
