"""The engine: a deterministic state machine over all streams. No clock, no I/O, no threads.

    state now = last dump + inputs since then

`step` applies one input and returns what it caused; `dump` and `load` turn the state into bytes and back. Live running,
replay and recovery are this code and nothing else.

Streams share nothing: what one becomes depends on the inputs that concern it, in their order, and on the outcomes of
its own trainings. So whoever does not want one stream's training to hold back the others applies an input stream by
stream, by `begin`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from daemon.config.change import RefusedError, changes
from daemon.config.settings import Settings, StreamSettings
from daemon.engine.learning.judgement import Judged, RolledBack
from daemon.engine.machine.stream import Stream
from daemon.engine.messages.events import Event
from daemon.engine.messages.inputs import (
    Batch,
    Command,
    Configured,
    Delivered,
    Excluded,
    Input,
    Labelled,
    Maintained,
    Promoted,
    Tick,
)
from daemon.engine.messages.training_port import Awaiting, Trainer, finish
from models.archive import pack, unpack
from models.bundle import Bundle

STATE_VERSION = 13


class StateVersionError(ValueError):
    """A dump has another layout than this program's. `version` is its version, `config` the one it was made under."""

    def __init__(self, version: Any, config: dict[str, Any]) -> None:
        super().__init__(f"state has version {version}, this program reads version {STATE_VERSION}")
        self.version, self.config = version, config


@dataclass(frozen=True, slots=True)
class StepResult:
    """What an input caused.

    Attributes:
        events: Event revisions, in order.
        joined: Series that became ready by a `warm_up` command.
        judged: The gate's verdicts on trainings whose result took effect, or did not.
        rolled_back: Promotions taken back.
    """

    events: list[Event]
    joined: int = 0
    judged: list[Judged] = field(default_factory=list)
    rolled_back: list[RolledBack] = field(default_factory=list)

    @classmethod
    def of(cls, parts: Iterable[StepResult]) -> StepResult:
        """What an input caused in several streams, as one result."""
        whole = cls([])
        for part in parts:
            whole = cls(
                whole.events + part.events,
                whole.joined + part.joined,
                whole.judged + part.judged,
                whole.rolled_back + part.rolled_back,
            )
        return whole


def essential(config: dict[str, Any]) -> dict[str, Any]:
    """The part of a configuration that the state depends on: the streams, without paths, and what holds for all.

    Where readings come from does not matter to the state, and a configured model arrives as an input of its own.
    """
    streams = {}
    for name, stream in config["streams"].items():
        kept = {key: value for key, value in stream.items() if key != "sources"}
        streams[name] = kept | {"model": kept.get("model", {}) | {"bundle": None, "torchscript": None}}
    windows = {"maintenance": config["maintenance"]} if config.get("maintenance") else {}
    part = {"shard": shard} if (shard := config.get("shard") or {}).get("of", 1) > 1 else {}
    return {"version": config["version"], "streams": streams, **windows, **part}


def alone(config: dict[str, Any], stream: str) -> dict[str, Any]:
    """A configuration with one of its streams only. Raises KeyError where it has no such stream."""
    return config | {"streams": {stream: config["streams"][stream]}}


class Engine:
    """All streams of one configuration.

    Args:
        trainer: Runs trainings; `result` must be a pure function of the request submitted.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self.config: dict[str, Any] = {}
        self.settings: Settings | None = None
        self.streams: dict[str, Stream] = {}

    def step(self, item: Input) -> StepResult:
        """Apply one input, and wait for the trainings whose outcomes it needs.

        Raises:
            KeyError: The input names a stream that is not configured.
            RefusedError: See `check`; nothing has changed.
            ValueError: A bundle does not fit its stream.
        """
        if isinstance(item, Configured):
            self._configure(item.config)
            return StepResult([])
        return StepResult.of(finish(self.begin(name, item), self._trainer.result) for name in self.concerned(item))

    def concerned(self, item: Input) -> list[str]:
        """Names of the streams that an input changes, each by itself; a `Configured` changes the engine as a whole."""
        return sorted(self.streams) if isinstance(item, Tick | Configured) else [item.stream]

    def begin(self, name: str, item: Input) -> Awaiting[StepResult]:
        """Apply an input to one of the streams that it concerns; what it caused there.

        The stream is to be let alone until that has come to its end. Raises as `step`.
        """
        stream = self.streams[name]
        events, joined = yield from self._apply(stream, item)
        judged, rolled_back = stream.learner.promoting.take_results()
        return StepResult(events, joined, judged, rolled_back)

    def _apply(self, stream: Stream, item: Input) -> Awaiting[tuple[list[Event], int]]:
        match item:
            case Batch():
                return (yield from stream.step(item)), 0
            case Delivered():
                return (yield from stream.end_delivery()), 0
            case Tick():
                return stream.tick(item.received_at_ms), 0
            case Labelled():
                return stream.label(item), 0
            case Excluded():
                stream.exclude(item)
            case Maintained():
                stream.maintain(item)
            case Command():
                return (yield from stream.end_warm_up())
            case Promoted():
                stream.learner.adopt(Bundle.from_bytes(item.content), stream.schedule.greatest)
            case Configured():
                raise TypeError("a configuration is applied to the engine as a whole")
        return [], 0

    def check(self, config: dict[str, Any]) -> None:
        """Whether `Configured(config)` can be applied; asked before it is journaled.

        Raises:
            RefusedError: It is no configuration of this program, changes what the state was built on, or needs more
                memory than there is.
        """
        self._prepared(config)

    def _configure(self, config: dict[str, Any]) -> None:
        settings, fresh = self._prepared(config)
        for name, stream in self.streams.items():
            stream.configure(settings.stream(name))
        self.streams |= fresh
        self.config, self.settings = essential(config), settings

    def _prepared(self, config: dict[str, Any]) -> tuple[Settings, dict[str, Stream]]:
        """The settings of a configuration and the streams it adds; see `check`."""
        try:
            settings = Settings.model_validate(config)
            after = Settings.model_validate(essential(config))
        except (ValidationError, KeyError, AttributeError, TypeError) as error:
            raise RefusedError(
                f"a configuration that this version does not read ({_first(error)}); set state_dir to a new directory"
            ) from error
        before = after if self.settings is None else Settings.model_validate(self.config)
        keys = [key for key, effect in changes(before, after) if effect == "state"]
        if keys:
            raise RefusedError(
                f"{', '.join(keys)} differ from what the state was built on; "
                "set them back, or set state_dir to a new directory"
            )
        fresh = [name for name in settings.streams if name not in self.streams]
        return settings, {name: self._begun(name, settings.stream(name)) for name in fresh}

    def _begun(self, name: str, settings: StreamSettings) -> Stream:
        try:
            return Stream(name, settings, self._trainer)
        except MemoryError as error:
            raise RefusedError(
                f"streams.{name}.max_series is {settings.max_series}, but there is no memory for so many ({error}); "
                "set it lower"
            ) from error

    def dump(self, provenance: bool = True) -> bytes:
        """The whole state: equal states give equal bytes.

        Which source brought in a series is left out without `provenance`: a file that is replayed has none, and what
        becomes of readings does not depend on it.
        """
        meta: dict[str, Any] = {"version": STATE_VERSION, "config": self.config, "streams": {}}
        arrays: dict[str, npt.NDArray[np.generic]] = {}
        for i, (name, stream) in enumerate(sorted(self.streams.items())):
            meta["streams"][name], own = stream.state()
            if provenance and (brought := stream.table.provenance()):
                meta["streams"][name]["provenance"] = brought
            arrays |= {f"{i}/{key}": array for key, array in own.items()}
        return pack(meta, arrays)

    def load(self, data: bytes, only: str | None = None) -> None:
        """Continue from a dump; the engine must be new.

        Args:
            data: The dump.
            only: The one stream that is wanted; None for all.

        Raises:
            StateVersionError: It is a dump of another version.
            RefusedError: It was made under a configuration that this program cannot take.
            ValueError: The bytes are no dump.
        """
        meta, arrays = unpack(data)
        if meta.get("version") != STATE_VERSION:
            raise StateVersionError(meta.get("version"), meta.get("config") or {})
        self._configure(meta["config"] if only is None else alone(meta["config"], only))
        for i, name in enumerate(sorted(meta["streams"])):
            if (stream := self.streams.get(name)) is None:
                continue
            own = {n.split("/", 1)[1]: a for n, a in arrays.items() if n.split("/", 1)[0] == str(i)}
            stream.restore(meta["streams"][name], own)
            stream.table.restore_provenance(meta["streams"][name].get("provenance", {}))

    def digest(self) -> str:
        """SHA-256 of the state, without provenance: equal readings, equal digests."""
        return hashlib.sha256(self.dump(provenance=False)).hexdigest()


def _first(error: Exception) -> str:
    """An error in one line; of many mistakes the first."""
    if not isinstance(error, ValidationError):
        return f"{type(error).__name__} {error}"
    found = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, found['loc']))}: {found['msg']}"
