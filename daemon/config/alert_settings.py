"""The configuration's section `alerts`: what counts as an anomaly, and when it is said."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Literal

from pydantic import model_validator

from daemon.config.sections import ConflictError, Section, live
from daemon.config.units import Duration


class LimitSettings(Section):
    min: float | None = live(None, "Smallest value that is physically possible; below it is an anomaly (`limit`).")
    max: float | None = live(None, "Greatest value that is physically possible; above it is an anomaly (`limit`).")

    @model_validator(mode="after")
    def _ordered(self) -> LimitSettings:
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ConflictError("min", f"is {self.min}, but max is {self.max}; set min below max")
        return self


class SeriesAlertSettings(Section):
    match: str = live(..., "Series this is for: a pattern with * and ?, such as meter-7*.", min_length=1)
    false_alarms_per_month: float | None = live(None, "As in alerts; none: as there.", gt=0, le=1000)
    refractory: Duration | None = live(None, "As in alerts; none: as there.", ge=0)
    direction: Literal["both", "above", "below"] | None = live(None, "As in alerts; none: as there.")
    min_deviation: float | None = live(None, "As in alerts; none: as there.", ge=0)
    min_relative_deviation: float | None = live(None, "As in alerts; none: as there.", ge=0, le=1000)
    limits: LimitSettings = live(LimitSettings(), "Physical range of a value; without either end as in alerts.")


class AlertSettings(Section):
    false_alarms_per_month: float = live(
        1.0, "False alarms the operator accepts per series and month; the threshold follows from it.", gt=0, le=1000
    )
    alarms_per_day: int | None = live(
        None,
        "Alarms that are told in a day of all series of the stream together, at most, the worst first; none: no bound.",
        ge=1,
        le=1000,
    )
    novelty: bool = live(
        True, "Whether a value outside all that the series has shown, or one outlier of its errors, is an anomaly."
    )
    refractory: Duration = live(86400, "After a notification, the series' next one is held back this long.", ge=0)
    direction: Literal["both", "above", "below"] = live(
        "both", "Side of the expected value on which a value can be an anomaly (`model`, `novelty`)."
    )
    min_deviation: float = live(
        0.0, "Distance from the expected value, in the value's unit, below which it is none (`model`, `novelty`).", ge=0
    )
    min_relative_deviation: float = live(
        0.0, "The same as a share of the expected value: 0.1 is a tenth of it.", ge=0, le=1000
    )
    limits: LimitSettings = live(LimitSettings(), "Physical range of a value.")
    series: list[SeriesAlertSettings] = live([], "Exceptions for some series; the first whose match fits holds.")

    def rule_of(self, series: str) -> int | None:
        """Index of the first exception whose pattern fits `series`, None when none does."""
        return next((i for i, rule in enumerate(self.series) if fnmatchcase(series, rule.match)), None)

    def exception(self, rule: int) -> AlertSettings:
        """These settings with one exception on top."""
        chosen = self.series[rule]
        changed = {name: getattr(chosen, name) for name in type(chosen).model_fields if name != "match"}
        if chosen.limits == LimitSettings():
            del changed["limits"]
        return self.model_copy(update={name: value for name, value in changed.items() if value is not None})
