"""The configuration's schema: every key, its type, default and meaning. Reading the file is `daemon.config.file`'s job.

Each field's description is its documentation: `tidegauge init` and docs/configuration.md are made from it. `effect`
says what a reload may do with a changed key: `live`, `retrain` (needs a new model) or `state` (needs a new state).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import field_validator, model_validator

from adapters.formats.format_registry import FORMATS, LINES
from daemon.config.addresses import HINT, split_address
from daemon.config.alert_settings import AlertSettings
from daemon.config.holidays import Holiday
from daemon.config.model_settings import ModelSettings
from daemon.config.sections import ConflictError, Section, live, new_state
from daemon.config.sink_settings import EventSettings
from daemon.config.source_settings import SourceSettings
from daemon.config.units import Duration, Size, format_duration

if TYPE_CHECKING:
    FormatType = str
else:
    FormatType = Literal[LINES]

WEEKLY_S = 14 * 86400  # warm-up that shows each time of week twice


class FormatSettings(Section):
    type: FormatType = live("csv", f"{', '.join(FORMATS[name].summary for name in LINES)}.")
    time: str = live("timestamp", "Column or key of the time stamp; `influx` has its own place for it.")
    value: str | list[str] = live("value", "Column, key or field of the value; a list of them for a vector.")
    series: str | list[str] | None = live(
        None,
        "Column or key of the series' name; for `influx` a tag or a list of tags. None: the file's stem or the kind of "
        "listener; for `influx` the measurement with all tags.",
    )
    columns: list[str] | None = live(
        None, "Column names of a CSV without a header line; none: the first line has them."
    )
    delimiter: str = live(",", "Separator of CSV columns, one character.", min_length=1, max_length=1)
    decimal: Literal[".", ","] = live(".", "Decimal separator of CSV numbers.")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of a reading's variables."""
        return (self.value,) if isinstance(self.value, str) else tuple(self.value)

    @property
    def width(self) -> int:
        """Number of variables of a reading."""
        return len(self.names)

    @field_validator("value", mode="before")
    @classmethod
    def _one_or_more_names(cls, value: Any) -> Any:
        if not _are_names(value):
            raise ValueError("not a column's name, nor a list of them; write a name, or [name, name] for a vector")
        return value

    @field_validator("series", mode="before")
    @classmethod
    def _none_or_names(cls, series: Any) -> Any:
        if series is not None and not _are_names(series):
            raise ValueError("not a column's name, nor a list of tags; write a name, or [tag, tag] for influx")
        return series

    @model_validator(mode="after")
    def _columns_possible(self) -> FormatSettings:
        if self.delimiter == self.decimal:
            raise ConflictError(
                "decimal", f"and delimiter are both {self.decimal!r}; set delimiter: ';' or decimal: '.'"
            )
        used = self._used()
        for name in used:
            if used.count(name) > 1:
                raise ConflictError(
                    "", f"uses column {name!r} twice; give time, series and each value a column of its own"
                )
        if self.columns is None:
            return self
        if FORMATS[self.type].carries_names:
            raise ConflictError(
                "columns", f"is set, but lines of {self.type} carry their own names; remove columns or set type: csv"
            )
        for name in used:
            if self.columns.count(name) != 1:
                raise ConflictError(
                    "columns", f"has {name!r} {self.columns.count(name)} times; list each column once, in order"
                )
        return self

    def _used(self) -> list[str]:
        """Names of columns, keys or fields that must differ from each other."""
        if FORMATS[self.type].joins_series:  # a tag may have the name of a field
            return list(self.names)
        if isinstance(self.series, list):
            raise ConflictError("series", "is a list, but only influx joins tags to a name; name one column or key")
        return [self.time, *self.names, *([] if self.series is None else [self.series])]


def _are_names(value: Any) -> bool:
    """Whether `value` is a name or a list of them, at least one."""
    names = value if isinstance(value, list) else [value]
    return bool(names) and all(isinstance(name, str) and name for name in names)


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
    aggregate: Literal["none", "mean", "sum", "last"] = new_state(
        "none", "How several readings make one slot; `none`: the second is a duplicate."
    )
    clock: Literal["wall", "event"] = live(
        "wall", "What 'now' is for silence and stamps in the future: the wall clock, or the stream's greatest slot."
    )
    lateness: int = live(0, "Slots the stream waits before a slot counts as closed.", ge=0, le=1000)
    future: Duration = live(3600, "Under the wall clock, a stamp further ahead than this is rejected.", ge=0)
    warm_up: Duration = new_state(14 * 86400, "History a series needs before it is scored.", ge=60)
    gap_after: int = live(3, "Intervals without a reading after which a series is silent (`gap`).", ge=1, le=10_000)
    retire_after: Duration = live(90 * 86400, "A series silent this long is forgotten.", ge=3600)
    seed: int = new_state(0, "Seed of everything random in this stream.", ge=0, lt=2**32)
    max_series: int = new_state(
        100_000, "Series the stream holds; readings of further ones are rejected.", ge=1, le=4_000_000
    )
    model: ModelSettings = live(ModelSettings(), "The network and its training.")
    drift: DriftSettings = live(DriftSettings(), "What is learned when a series changes for good.")
    alerts: AlertSettings = live(AlertSettings(), "What counts as an anomaly and when to say so.")

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

    @field_validator("timezone")
    @classmethod
    def _timezone_known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("not a known time zone; use an IANA name such as Europe/Berlin") from None
        return name

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
        silent = self.gap_after * interval
        if self.retire_after <= silent:
            raise ConflictError(
                "retire_after",
                f"is {format_duration(self.retire_after)}, but a series is silent only after gap_after * interval, "
                f"{format_duration(silent)}; set retire_after above it",
            )
        return self


class Limits(Section):
    label_bytes: int = live(256, "Longest name of a series, in bytes of UTF-8.", ge=1, le=256)
    line_bytes: Size = live(1 << 20, "Longest line; longer ones are discarded up to the next newline.", ge=256)


class HistorySettings(Section):
    keep: Duration = live(30 * 86400, "How long the journal is kept.", ge=0)
    max_bytes: Size = live(10 << 30, "Size the journal may reach before its oldest part is dropped.", ge=1 << 20)


class CheckpointSettings(Section):
    every: Duration = live(300, "Time between two checkpoints.", ge=1)


class HttpSettings(Section):
    listen: str = live("127.0.0.1:9898", "Address and port of metrics, health, API and page; port 0 picks a free one.")
    web_config: Path | None = live(
        None, "File with TLS and passwords, as Prometheus' exporters have it; none: neither."
    )
    metrics_without_password: bool = live(False, "Whether /metrics is open where web_config has passwords.")
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


class MetricsSettings(Section):
    max_series: int = live(1000, "Series exported one by one; above it, the top by score and aggregates.", ge=0)


class LogSettings(Section):
    level: Literal["debug", "info", "warning", "error"] = live("info", "Least severe message that is logged.")
    format: Literal["auto", "plain", "json", "journald"] = live("auto", "`auto`: journald's under systemd, else plain.")


class Settings(Section):
    """The whole file."""

    version: Literal[1] = live(1, "Version of this file's layout.")
    state_dir: Path = new_state(Path("tidegauge-state"), "Directory of journal, checkpoints, models and events.")
    streams: dict[str, StreamSettings] = live(..., "Streams by name.", min_length=1)
    limits: Limits = live(Limits(), "Bounds that keep memory constant for any input.")
    history: HistorySettings = live(HistorySettings(), "How much of the journal is kept.")
    checkpoint: CheckpointSettings = live(CheckpointSettings(), "When state is written to disk.")
    events: EventSettings = live(EventSettings(), "Where events go besides the store's table.")
    http: HttpSettings = live(HttpSettings(), "The HTTP server.")
    metrics: MetricsSettings = live(MetricsSettings(), "What is exported to Prometheus.")
    log: LogSettings = live(LogSettings(), "Logging to standard error.")

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
