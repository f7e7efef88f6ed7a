"""The engine: a deterministic state machine over all streams. No clock, no I/O, no threads.

    state now = last dump + inputs since then

`step` applies one input and returns what it caused; `dump` and `load` turn the state into bytes and back. Live running,
replay and recovery are this code and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from daemon.config.change import RefusedError, changes
from daemon.config.settings import Settings, StreamSettings
from daemon.engine.learning.judgement import Judged, RolledBack
from daemon.engine.machine.stream import Stream
from daemon.engine.messages.events import Event
from daemon.engine.messages.inputs import Batch, Command, Configured, Delivered, Input, Labelled, Promoted, Tick
from daemon.engine.messages.training_port import Trainer
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


def essential(config: dict[str, Any]) -> dict[str, Any]:
    """The part of a configuration that the state depends on: the streams, without paths.

    Where readings come from does not matter to the state, and a configured model arrives as an input of its own.
    """
    streams = {}
    for name, stream in config["streams"].items():
        kept = {key: value for key, value in stream.items() if key != "sources"}
        streams[name] = kept | {"model": kept.get("model", {}) | {"bundle": None, "torchscript": None}}
    return {"version": config["version"], "streams": streams}


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
        """Apply one input.

        Raises:
            KeyError: The input names a stream that is not configured.
            RefusedError: See `check`; nothing has changed.
            ValueError: A bundle does not fit its stream.
        """
        result = self._apply(item)
        for _, stream in sorted(self.streams.items()):
            judged, rolled_back = stream.learner.promoting.take_results()
            if judged or rolled_back:
                result = replace(result, judged=result.judged + judged, rolled_back=result.rolled_back + rolled_back)
        return result

    def _apply(self, item: Input) -> StepResult:
        events: list[Event] = []
        joined = 0
        match item:
            case Batch():
                events = self.streams[item.stream].step(item)
            case Delivered():
                events = self.streams[item.stream].end_delivery()
            case Tick():
                events = [e for _, stream in sorted(self.streams.items()) for e in stream.tick(item.received_at_ms)]
            case Configured():
                self._configure(item.config)
            case Promoted():
                stream = self.streams[item.stream]
                stream.learner.adopt(Bundle.from_bytes(item.content), stream.schedule.greatest)
            case Labelled():
                events = self.streams[item.stream].label(item)
            case Command():
                events, joined = self.streams[item.stream].end_warm_up()
        return StepResult(events, joined)

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
            stream.configure(settings.streams[name])
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
        fresh = {name: each for name, each in settings.streams.items() if name not in self.streams}
        return settings, {name: self._begun(name, each) for name, each in fresh.items()}

    def _begun(self, name: str, settings: StreamSettings) -> Stream:
        try:
            return Stream(name, settings, self._trainer)
        except MemoryError as error:
            raise RefusedError(
                f"streams.{name}.max_series is {settings.max_series}, but there is no memory for so many ({error}); "
                "set it lower"
            ) from error

    def dump(self) -> bytes:
        """The whole state: equal states give equal bytes."""
        meta: dict[str, Any] = {"version": STATE_VERSION, "config": self.config, "streams": {}}
        arrays: dict[str, npt.NDArray[np.generic]] = {}
        for i, (name, stream) in enumerate(sorted(self.streams.items())):
            meta["streams"][name], own = stream.state()
            arrays |= {f"{i}/{key}": array for key, array in own.items()}
        return pack(meta, arrays)

    def load(self, data: bytes) -> None:
        """Continue from a dump; the engine must be new.

        Raises:
            StateVersionError: It is a dump of another version.
            RefusedError: It was made under a configuration that this program cannot take.
            ValueError: The bytes are no dump.
        """
        meta, arrays = unpack(data)
        if meta.get("version") != STATE_VERSION:
            raise StateVersionError(meta.get("version"), meta.get("config") or {})
        self._configure(meta["config"])
        for i, (name, stream) in enumerate(sorted(self.streams.items())):
            own = {n.split("/", 1)[1]: a for n, a in arrays.items() if n.split("/", 1)[0] == str(i)}
            stream.restore(meta["streams"][name], own)


def _first(error: Exception) -> str:
    """An error in one line; of many mistakes the first."""
    if not isinstance(error, ValidationError):
        return f"{type(error).__name__} {error}"
    found = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, found['loc']))}: {found['msg']}"
