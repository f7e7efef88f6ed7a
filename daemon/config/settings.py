"""The configuration's schema: every key, its type, default and meaning. Reading the file is `daemon.config.file`'s job.

Each field's description is its documentation: `tidegauge init` and docs/configuration.md are made from it. `effect`
says what a reload may do with a changed key: `live`, `retrain` (needs a new model) or `state` (needs a new state).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, field_validator, model_validator

from daemon.config.addresses import HINT, split_address
from daemon.config.alert_settings import AlertSettings
from daemon.config.due_calendar import quarters
from daemon.config.format_settings import FormatSettings
from daemon.config.holidays import Holiday
from daemon.config.maintenance_settings import MOST, MaintenanceSettings
from daemon.config.metric_settings import MetricsSettings
from daemon.config.model_settings import ModelSettings
from daemon.config.sections import ConflictError, Section, live, new_state
from daemon.config.shard_settings import ShardSettings
from daemon.config.sink_settings import EventSettings
from daemon.config.source_settings import SourceSettings
from daemon.config.units import Duration, Size, format_duration, known_zone

WEEKLY_S = 14 * 86400  # warm-up that shows each time of week twice


class DriftSettings(Section):
    enabled: bool = live(
        True, "Whether episodes are left out of training, regimes adopted, and drift asks for training."
    )
    adopt_after: Duration | None = live(
        None, "How long a new regime lasts before it is adopted as normal; none: half of the warm-up.", ge=1
    )
    cooldown: Duration = live(3 * 86400, "Time between two trainings that drift or a new regime asks for.", ge=0)
    anew: bool = live(
        False,
        "Whether the training that an adopted regime asks for begins anew; `false`: it continues the model in service.",
    )


class StreamSettings(Section):
    sources: list[SourceSettings] = live([], "Where the readings come from.")
    format: FormatSettings = live(FormatSettings(), "How a line is read.")
    interval: Duration = new_state(1800, "Time between two readings of a series; one slot.", ge=1, le=7 * 86400)
    timezone: str = new_state("UTC", "Zone of stamps without one, and of the time of day the model sees (IANA name).")
    holidays: list[Holiday] | None = live(
        None,
        "Days that count as Sundays in the time of week the model sees: countries (`US`, `DE-BY`) and dates; none: no "
        "day.",
    )
    stamp: Literal["start", "end"] = new_state("start", "Whether a stamp marks the start or the end of its interval.")
    kind: Literal["gauge", "counter"] = new_state(
        "gauge", "`counter`: only the increase since the last reading counts."
    )
    modulus: float | None = live(
        None, "Value at which a counter comes round to 0, such as 100000 for five digits; none: it does not.", gt=0
    )
    fall_tolerance: float | None = live(
        None, "A counter's fall up to this is noise; none: a ten-thousandth of what it shows.", ge=0
    )
    revisions: Literal["ignore", "take"] = live(
        "ignore", "Another value for a slot that is taken: `ignore` it (rejected as `revision`), or `take` it."
    )
    aggregate: Literal["none", "mean", "sum", "last"] = new_state(
        "none", "How several readings make one slot; `none`: the first stands."
    )
    clock: Literal["wall", "event"] = live(
        "wall",
        "What 'now' is for silence and stamps in the future: the wall clock, or the slot the stream has come to.",
    )
    arrival: Literal["live", "batch"] = live(
        "live",
        "`live`: readings come as they are measured, in order of time; `batch`: in deliveries such as nightly files, "
        "each taken up when it has ended, in any order.",
    )
    settle: Duration = live(60, "Under `arrival: batch`, how long a file that is quiet has ended.", ge=0)
    lateness: int = live(0, "Slots the stream waits before a slot counts as closed.", ge=0, le=1000)
    future: Duration = live(3600, "Under the wall clock, a stamp further ahead than this is rejected.", ge=0)
    warm_up: Duration = new_state(14 * 86400, "History a series needs before it is scored.", ge=60)
    gap_after: int = live(
        3, "Readings that are due and missing after which a series is silent (`gap`).", ge=1, le=10_000
    )
    due: Literal["learned", "always"] | list[str] = live(
        "learned",
        "When readings are due: `learned`: at the hours of the week at which the series reports; `always`; or days and "
        "times, such as [Mon-Fri 08:00-18:00].",
    )
    retire_after: Duration = live(90 * 86400, "A series silent this long is forgotten.", ge=3600)
    seed: int = new_state(0, "Seed of everything random in this stream.", ge=0, lt=2**32)
    max_series: int = new_state(
        100_000, "Series the stream holds; readings of further ones are rejected.", ge=1, le=4_000_000
    )
    model: ModelSettings = live(ModelSettings(), "The network and its training.")
    drift: DriftSettings = live(DriftSettings(), "What is learned when a series changes for good.")
    alerts: AlertSettings = live(AlertSettings(), "What counts as an anomaly and when to say so.")
    maintenance: list[MaintenanceSettings] = live(
        [], "Periods in which nobody is told: once, or every week.", max_length=2 * MOST
    )

    def series_share(self, source: SourceSettings) -> int:
        """Series that a source may bring in: its own limit, or a share that leaves room for the others."""
        if source.max_series is not None:
            return min(source.max_series, self.max_series)
        return self.max_series if len(self.sources) <= 1 else max(1, self.max_series * 3 // 4)

    @property
    def adopt_slots(self) -> int:
        """Slots that a new regime lasts before it is adopted, 0 where none is."""
        if not self.drift.enabled:
            return 0
        after = self.warm_up // 2 if self.drift.adopt_after is None else self.drift.adopt_after
        return max(1, after // self.interval)

    @property
    def warm_up_slots(self) -> int:
        """Slots of the warm-up, rounded up."""
        return -(-self.warm_up // self.interval)

    @field_validator("due", mode="before")
    @classmethod
    def _days_and_times(cls, due: Any) -> Any:
        if due not in ("learned", "always"):
            quarters(due if isinstance(due, list) and due else [""])
        return due

    @field_validator("timezone")
    @classmethod
    def _timezone_known(cls, name: str) -> str:
        return known_zone(name)

    @model_validator(mode="after")
    def _possible(self) -> StreamSettings:
        window, interval = self.model.window, self.interval
        if self.warm_up_slots < 2 * window:
            raise ConflictError(
                "warm_up",
                f"is {format_duration(self.warm_up)}, {self.warm_up_slots} slots of {format_duration(interval)}, "
                f"but a window of {window} slots needs at least {2 * window}; "
                f"set warm_up: {format_duration(2 * window * interval)} or more, or a smaller model.window",
            )
        if self.lateness >= window:
            raise ConflictError(
                "lateness", f"is {self.lateness} slots, but the window has {window}; set lateness below window"
            )
        return self


class Limits(Section):
    series_bytes: int = live(
        256,
        "Longest name of a series, in bytes of UTF-8.",
        ge=1,
        le=256,
        validation_alias=AliasChoices("series_bytes", "label_bytes"),  # as earlier versions, and journals, have it
    )
    line_bytes: Size = live(1 << 20, "Longest line; longer ones are discarded up to the next newline.", ge=256)


class HistorySettings(Section):
    keep: Duration = live(30 * 86400, "How long the journal is kept.", ge=0)
    max_bytes: Size = live(
        10 << 30, "Size that journal, checkpoints and models may have together before the oldest go.", ge=1 << 20
    )
    courses: Size = live(
        4 << 30,
        "Size that the courses of series, from which charts are drawn, may have together.",
    )


class CheckpointSettings(Section):
    every: Duration = live(300, "Time between two checkpoints.", ge=1)


class RejectsSettings(Section):
    file: Path | None = live(None, "JSON-lines file that refused lines are kept in; none: no file.")
    max_bytes: Size = live(10 << 20, "Size at which the file is renamed and a new one begun.", ge=4096)
    keep: int = live(3, "Renamed files that are kept, `FILE.1` the newest.", ge=0, le=100)


class HttpSettings(Section):
    listen: str = live("127.0.0.1:9898", "Address and port of metrics, health, API and page; port 0 picks a free one.")
    web_config: Path | None = live(
        None, "File with TLS and passwords, as Prometheus' exporters have it; none: neither."
    )
    metrics_without_password: bool = live(False, "Whether /metrics is open where web_config has passwords.")
    token_file: Path | None = live(
        None, "File with the token, of 16 letters or more, that labels and promotions by page and API need; none: none."
    )
    hosts: list[str] = live(
        [], "Names by which clients may call this server, beside IP addresses, localhost and that of `listen`."
    )

    @property
    def names(self) -> frozenset[str]:
        """The names of `hosts` and `listen`, in lower case."""
        return frozenset(name.lower().removesuffix(".") for name in (*self.hosts, self.address[0]))

    @property
    def address(self) -> tuple[str, int]:
        """Host (without brackets) and port of `listen`."""
        found = split_address(self.listen)
        assert found is not None, "the validator has seen it"
        return found

    @field_validator("listen")
    @classmethod
    def _host_and_port(cls, listen: str) -> str:
        if split_address(listen) is None:
            raise ValueError(f"not an address and a port; {HINT.format(port=9898)}")
        return listen

    @field_validator("hosts")
    @classmethod
    def _names_alone(cls, hosts: list[str]) -> list[str]:
        for name in hosts:
            if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
                raise ValueError(f"{name!r} is not a host name; give names without scheme and port")
        return hosts


class LogSettings(Section):
    level: Literal["debug", "info", "warning", "error"] = live("info", "Least severe message that is logged.")
    format: Literal["auto", "plain", "json", "journald"] = live("auto", "`auto`: journald's under systemd, else plain.")


class Settings(Section):
    """The whole file."""

    version: Literal[1] = live(1, "Version of this file's layout.")
    state_dir: Path = new_state(Path("tidegauge-state"), "Directory of journal, checkpoints, models and events.")
    streams: dict[str, StreamSettings] = live(..., "Streams by name.", min_length=1)
    shard: ShardSettings = live(
        ShardSettings(), "Which part of the series is watched here, where several daemons share them."
    )
    maintenance: list[MaintenanceSettings] = live(
        [], "Periods in which nobody is told of any stream: once, or every week.", max_length=MOST
    )
    limits: Limits = live(Limits(), "Bounds that keep memory constant for any input.")
    history: HistorySettings = live(HistorySettings(), "How much of the journal is kept.")
    checkpoint: CheckpointSettings = live(CheckpointSettings(), "When state is written to disk.")
    events: EventSettings = live(EventSettings(), "Where events go besides the store's table.")
    rejects: RejectsSettings = live(RejectsSettings(), "Where refused lines are kept.")
    http: HttpSettings = live(HttpSettings(), "The HTTP server.")
    metrics: MetricsSettings = live(MetricsSettings(), "What is exported to Prometheus.")
    log: LogSettings = live(LogSettings(), "Logging to standard error.")

    def stream(self, name: str) -> StreamSettings:
        """One stream's settings, with the windows of maintenance that hold for all behind its own."""
        own = self.streams[name]
        return (
            own.model_copy(update={"maintenance": [*own.maintenance, *self.maintenance]}) if self.maintenance else own
        )

    @field_validator("streams")
    @classmethod
    def _names_are_labels(cls, streams: dict[str, StreamSettings]) -> dict[str, StreamSettings]:
        for name in streams:
            if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}", name):
                raise ConflictError(
                    name[:64],
                    "is not a stream's name; use up to 64 letters, digits, '_' and '-', not starting with '-'",
                )
        return streams
