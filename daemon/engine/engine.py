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

from daemon.config.settings import Settings
from daemon.engine.events import Event
from daemon.engine.inputs import Batch, Command, Configured, Input, Promoted, Tick
from daemon.engine.stream import Stream
from daemon.engine.training_port import Trainer
from daemon.learning.gating import Judged, RolledBack
from models.archive import pack, unpack
from models.bundle import Bundle

STATE_VERSION = 7


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

    Where readings come from does not matter to the state, and a configured bundle arrives as an input of its own.
    """
    streams = {}
    for name, stream in config["streams"].items():
        kept = {key: value for key, value in stream.items() if key != "sources"}
        streams[name] = kept | {"model": kept.get("model", {}) | {"bundle": None}}
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
            ValueError: A configuration changes what needs a new state, or a bundle does not fit its stream.
        """
        result = self._apply(item)
        for _, stream in sorted(self.streams.items()):
            judged, rolled_back = stream.learner.promoting.take_results()
            if judged or rolled_back:
                result = replace(result, judged=result.judged + judged, rolled_back=result.rolled_back + rolled_back)
        return result

    def _apply(self, item: Input) -> StepResult:
        match item:
            case Batch():
                return StepResult(self.streams[item.stream].step(item))
            case Tick():
                return StepResult(
                    [e for _, stream in sorted(self.streams.items()) for e in stream.tick(item.received_at_ms)]
                )
            case Configured():
                self._configure(item.config)
                return StepResult([])
            case Promoted():
                stream = self.streams[item.stream]
                stream.learner.adopt(Bundle.from_bytes(item.content), stream.greatest)
                return StepResult([])
            case Command():
                events, joined = self.streams[item.stream].end_warm_up()
                return StepResult(events, joined)

    def _configure(self, config: dict[str, Any]) -> None:
        settings = Settings.model_validate(config)
        for name, wanted in settings.streams.items():
            if name in self.streams:
                self.streams[name].configure(wanted)
            else:
                self.streams[name] = Stream(name, wanted, self._trainer)
        for name in set(self.streams) - set(settings.streams):
            del self.streams[name]
        self.config, self.settings = essential(config), settings

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
            ValueError: The bytes are no dump.
        """
        meta, arrays = unpack(data)
        if meta.get("version") != STATE_VERSION:
            raise StateVersionError(meta.get("version"), meta.get("config") or {})
        self._configure(meta["config"])
        for i, (name, stream) in enumerate(sorted(self.streams.items())):
            own = {n.split("/", 1)[1]: a for n, a in arrays.items() if n.split("/", 1)[0] == str(i)}
            stream.restore(meta["streams"][name], own)
