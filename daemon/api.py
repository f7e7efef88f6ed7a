"""Tidegauge in Python: a detector over tables of pandas, replays, trainings, and recorded events as a table.

These names stay: `Detector`, `Replayed`, `TrainedScorer`, `events`, `replay`, `train`. docs/python.md shows
them at work. Settings are a stream's keys as docs/configuration.md has them, nested as in the file:
`{"interval": "30m", "alerts": {"limits": {"max": 5}}}`. A mistake in them is a `ConfigError`, which says what to do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from daemon.config.document import ConfigError
from daemon.config.file import load, of_options
from daemon.config.settings import Settings
from daemon.engine.machine.engine import Engine
from daemon.engine.messages.events import Event, latest
from daemon.engine.messages.inputs import Command, Delivered
from daemon.engine.table.series import READY
from daemon.intake.data_frame import batch_of
from daemon.presentation import frame as tables
from daemon.replay import trace
from daemon.replay.replay import begun
from daemon.replay.replay import replay as replay_file
from daemon.store import EventFilter, open_reader
from daemon.trainer.trainer import InlineTrainer

__all__ = ["ConfigError", "Detector", "Replayed", "TrainedScorer", "events", "replay", "train"]

STREAM = "readings"
"""Name of the one stream, which events have."""


class Detector:
    """The engine of one stream in memory: readings in, scores and events out. It learns from all that it is given.

    The same readings give the same results, however they are cut into tables. A table is a delivery
    (`arrival: batch`): its rows may be in any order, and a series that it lacks is silent. Everything goes by the
    readings' own time. Trainings run in this process, when their time has come.

    Args:
        settings: The stream's keys.

    Raises:
        ConfigError: They do not describe a possible stream.
        BundleError: `model.bundle` cannot be read or does not fit.
    """

    def __init__(self, settings: Mapping[str, object] | None = None) -> None:
        self._begin(begun(_settings(settings), InlineTrainer()))

    def _begin(self, engine: Engine) -> None:
        assert engine.settings is not None
        self._engine, self._settings = engine, engine.settings
        self._stream = engine.streams[STREAM]
        self._tracer = trace.Tracer(self._stream, self._settings.streams[STREAM].max_series)
        self._events: list[Event] = []

    def update(self, readings: pd.DataFrame) -> pd.DataFrame:
        """Take readings in, in their order of time, and say what each is worth.

        Args:
            readings: A row for each; see `daemon.intake.data_frame.batch_of` for its columns.

        Returns:
            A row for each reading that was judged, series by series, in order of time: `series`, `at`, `value`,
            `expected`, `lower`, `upper`, `error`, `rank`, `rarity`, and `reasons`, which is empty where the reading is
            normal. The numbers are missing where it was not scored, as in the warm-up.

        Raises:
            ValueError: A column is missing.
        """
        batch = batch_of(readings, STREAM, self._settings.streams[STREAM], self._settings.limits)
        for item in (batch, Delivered(STREAM)):
            self._events += self._engine.step(item).events
        return trace.to_frame(self._tracer.drain())

    def end_warm_up(self) -> int:
        """Train and begin to score with the history there is; returns how many series are ready."""
        self._events += self._engine.step(Command("warm_up", STREAM)).events
        return len(self.ready)

    @property
    def ready(self) -> list[str]:
        """The series that are scored, in order of their names."""
        table = self._stream.table
        return sorted(name for name, row in table.row_of.items() if table.rows["status"][row] == READY)

    @property
    def rejected(self) -> dict[str, int]:
        """Rows and readings that were not taken, by reason; what came again as it was is no rejection."""
        return dict(self._stream.counters.rejected)

    @property
    def events(self) -> pd.DataFrame:
        """A row for each event of this object's life, as it was last; see docs/events.md for the columns."""
        return tables.to_frame(latest(self._events))

    @property
    def revisions(self) -> pd.DataFrame:
        """A row for each revision of each event, in order."""
        return tables.to_frame(self._events)

    def dump(self) -> bytes:
        """The whole state but for the events told so far: data, no code."""
        return self._engine.dump()

    @classmethod
    def load(cls, data: bytes) -> Detector:
        """Go on where `dump` was made, by the same version of Tidegauge; from then on everything is equal.

        Raises:
            ValueError: It is no such state.
        """
        engine = Engine(InlineTrainer())
        engine.load(data)
        if list(engine.streams) != [STREAM]:
            raise ValueError("the state is not a detector's")
        made = cls.__new__(cls)
        made._begin(engine)
        return made


@dataclass(frozen=True, eq=False)
class Replayed:
    """What a replay came to.

    Attributes:
        readings: As `Detector.update` returns them, of the first eight series.
        events: A row for each event, as it was last.
        revisions: A row for each revision.
        rejected: Lines and readings that were not taken, by reason.
        trainings: By outcome.
        warnings: What is odd about the file, or the settings beside it, in words.
    """

    readings: pd.DataFrame
    events: pd.DataFrame
    revisions: pd.DataFrame
    rejected: Mapping[str, int]
    trainings: Mapping[str, int]
    warnings: Sequence[str]


def replay(
    file: str | Path,
    settings: Mapping[str, object] | None = None,
    *,
    config: str | Path | None = None,
    stream: str | None = None,
) -> Replayed:
    """Drive a new engine with a file, as `tidegauge replay` does.

    Args:
        file: The readings.
        settings: The stream's keys, on top of the configuration's.
        config: A configuration file; None: defaults.
        stream: Which stream of the file; needed when it has several.

    Raises:
        ConfigError: The settings do not describe a possible stream.
        OSError: A file cannot be read.
        ValueError: There is no such stream.
    """
    if config is None:
        chosen, name = _settings(settings, "live"), STREAM
    else:
        names = list(load(Path(config)).streams)
        name = stream or names[0]
        if name not in names or (stream is None and len(names) > 1):
            raise ValueError(f"stream is {stream!r}; it is one of {', '.join(names)}")
        given = {"clock": "event", **(settings or {})}
        chosen = load(Path(config), {f"streams.{name}.{key}": value for key, value in given.items()})
    tracers: list[trace.Tracer] = []
    done = replay_file(
        Path(file), chosen, name, InlineTrainer(), on_engine=lambda e: tracers.append(trace.Tracer(e.streams[name]))
    )
    return Replayed(
        readings=trace.to_frame(tracers[0].drain()),
        events=tables.to_frame(latest(done.events)),
        revisions=tables.to_frame(done.events),
        rejected=done.rejected,
        trainings=done.trainings,
        warnings=done.warnings,
    )


@dataclass(frozen=True)
class TrainedScorer:
    """A trained network.

    Attributes:
        bundle: Its file, for `model.bundle`; `model.window` must be `window`.
        window: Slots that it sees.
        threshold: Error above which a window is odd, from the validation part.
        injected_auc: Area under the ROC curve on anomalies that were injected into the test part, `all` and by kind.
    """

    bundle: Path
    window: int
    threshold: float
    injected_auc: Mapping[str, float]


def train(
    readings: pd.DataFrame,
    out: str | Path,
    settings: Mapping[str, object] | None = None,
    *,
    recipe: str = "masked-autoencoder",
    seed: int = 0,
    device: str = "cpu",
) -> TrainedScorer:
    """Train a scorer on recorded readings, as `tidegauge train autoencoder` does, without its report.

    Args:
        readings: See `Detector.update`.
        out: Directory of checkpoint and bundle; one that is there goes on.
        settings: The stream's keys.
        recipe: A shipped one (docs/training.md), or a file that ends in `.yaml`.
        seed: Of the weights and of the order of the windows.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        ConfigError: The settings do not describe a possible stream.
        ValueError: The recipe cannot be used, or there is too little to learn from.
    """
    from daemon.offline import recipes, trainings
    from daemon.offline.grid import on_grid

    chosen = _settings(settings)
    own = chosen.streams[STREAM]
    histories = on_grid([batch_of(readings, STREAM, own, chosen.limits)], own, own.interval, "the table")
    read = recipes.read(recipe)
    recipes.check([read], "reconstruct", histories)
    (job,) = trainings.plan([read], [seed], 0, Path(out), device, STREAM)
    (result,) = trainings.run([job], histories, [[] for _ in histories], 1, True)
    data = result.variant.data
    return TrainedScorer(job.directory / trainings.BUNDLE, read.network.window, data["threshold"], data["injected_auc"])


def events(state_dir: str | Path, *, revisions: bool = False) -> pd.DataFrame:
    """The recorded events of a state directory, a daemon's that runs too.

    Args:
        state_dir: The directory.
        revisions: A row for each revision, not only for the last one of each event.

    Raises:
        StoreError: There is no state there, or another version's.
    """
    with open_reader(Path(state_dir)) as reader:
        return tables.to_frame([event for _, event in reader.events(EventFilter(latest_only=not revisions))])


def _settings(given: Mapping[str, object] | None, arrival: str = "batch") -> Settings:
    """The settings of the one stream; mistakes are of the settings, not of a command line."""
    try:
        return of_options(STREAM, {"clock": "event", "arrival": arrival, **(given or {})})
    except ConfigError as error:
        raise ConfigError([dataclasses.replace(each, file="settings") for each in error.problems]) from None
