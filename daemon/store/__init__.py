"""The durable state of one state directory: journal, positions, checkpoints, events, models. Formats: docs/state.md."""

from daemon.store.errors import (
    CheckpointDamaged,
    JournalGap,
    ModelChecksum,
    ModelUnknown,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreMissing,
    StoreUnusable,
)
from daemon.store.event_table import EventFilter
from daemon.store.faults import FAULT_POINTS
from daemon.store.model_store import ModelRecord
from daemon.store.store import Store
from daemon.store.view import StoreView, open_reader

__all__ = [
    "FAULT_POINTS",
    "CheckpointDamaged",
    "EventFilter",
    "JournalGap",
    "ModelChecksum",
    "ModelRecord",
    "ModelUnknown",
    "Store",
    "StoreDamaged",
    "StoreError",
    "StoreFull",
    "StoreLocked",
    "StoreMissing",
    "StoreUnusable",
    "StoreView",
    "open_reader",
]
