"""Which state recovery begins with: that of a checkpoint, or an empty one from which the journal rebuilds it.

A state of another version is not translated. Inputs are what is kept of the past, so the journal is repeated from as
far back as it reaches, under the configuration that the old state names. What its entries cause was said by the version
that ran then, and is not recorded again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from daemon.config.change import RefusedError
from daemon.engine.machine.engine import Engine, StateVersionError
from daemon.engine.messages.inputs import Configured
from daemon.engine.messages.training_port import Trainer
from daemon.store import Store, StoreView
from models.bundle_errors import OwnModelError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loaded:
    """Where a repetition begins.

    Attributes:
        engine: The state.
        seq: Journal entry that it includes; those after it are to be repeated.
    """

    engine: Engine
    seq: int


def states(
    reader: StoreView, trainer: Trainer, *, before: int | None = None, only: str | None = None
) -> Iterator[Loaded]:
    """The states of the checkpoints that this program reads, the newest first; nothing is set aside.

    Args:
        reader: The state directory.
        trainer: Of the engines.
        before: Only those of earlier journal entries.
        only: The one stream that is wanted; states that lack it are passed over.
    """
    for seq, data in reader.checkpoints():
        if before is not None and seq >= before:
            continue
        engine = Engine(trainer)
        try:
            engine.load(data, only)
        except (ValueError, KeyError, TypeError):
            continue  # of another version, or from before the stream was configured
        yield Loaded(engine, seq)


def load(store: Store, trainer: Trainer) -> Loaded:
    """The newest checkpoint that this program reads; those it cannot read are set aside.

    Raises:
        RefusedError: The checkpoint is sound, but its configuration cannot be taken here; it stays.
        OwnModelError: The configuration does not let the model in service run; the checkpoint stays.
    """
    other: StateVersionError | None = None
    found = store.load_checkpoint()
    while found is not None:
        seq, data = found
        engine = Engine(trainer)
        try:
            engine.load(data)
        except StateVersionError as error:
            other = other or error
            found = store.load_checkpoint(before=seq)
        except (RefusedError, OwnModelError):
            raise
        except (ValueError, KeyError, TypeError) as error:
            log.error("checkpoint cannot be loaded", extra={"seq": seq, "error": str(error)})
            store.reject_checkpoint(seq, str(error))
            found = store.load_checkpoint(before=None if other is None else seq)
        else:
            return Loaded(engine, seq)
    return Loaded(Engine(trainer), 0) if other is None else _begin_anew(store, trainer, other)


def _begin_anew(store: Store, trainer: Trainer, other: StateVersionError) -> Loaded:
    """An empty state before the oldest entry; the checkpoints of the other version are kept under another name."""
    log.warning(
        "state of another version, rebuilding it from the journal",
        extra={"version": other.version, "first_seq": store.first_seq, "last_seq": store.last_seq},
    )
    engine = Engine(trainer)
    store.set_said_through(store.last_seq)
    if store.journal_is_whole:
        store.replace_checkpoints(other.version, None)
        return Loaded(engine, 0)
    try:
        engine.step(Configured(other.config))
    except (ValueError, KeyError, TypeError) as error:
        return start_over(store, trainer, error)
    store.replace_checkpoints(other.version, engine.dump())
    return Loaded(engine, store.first_seq - 1)


def start_over(store: Store, trainer: Trainer, why: Exception) -> Loaded:
    """The empty state, because the journal cannot be repeated; its entries up to now count no longer."""
    log.error("state cannot be rebuilt, starting afresh", extra={"error": str(why), "unused_to": store.last_seq})
    store.start_over()
    return Loaded(Engine(trainer), store.last_seq)
