"""The configuration's section `metrics`: what is exported to Prometheus, and where it is written to."""

from __future__ import annotations

import re

from pydantic import field_validator

from daemon.config.sections import Section, live
from daemon.config.sink_settings import HttpAddressSettings
from daemon.config.units import Duration, Size

_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.+")


class RemoteWriteSettings(HttpAddressSettings):
    url: str | None = live(
        None, "Address that takes remote write, such as http://127.0.0.1:9090/api/v1/write; none: this one is off."
    )
    every: Duration = live(15, "Time from one picture of the metrics to the next.", ge=1, le=3600)
    labels: list[str] = live(
        [],
        "Labels added to every sample, such as site=pier; without job and instance these are tidegauge and the host.",
    )
    buffer: Size = live(
        32 << 20,
        "Size that what waits may have while the other side is away; beyond, the oldest is left out.",
        ge=1 << 20,
    )

    @field_validator("labels")
    @classmethod
    def _pairs(cls, labels: list[str]) -> list[str]:
        for label in labels:
            if not _LABEL.fullmatch(label) or label.startswith("__"):
                raise ValueError(f"not a list of labels: {label!r} is none; write name=value")
        return labels


class MetricsSettings(Section):
    max_series: int = live(1000, "Series exported one by one; above it, the top by score and aggregates.", ge=0)
    remote_write: list[RemoteWriteSettings] = live(
        [], "Stores that all metrics are written to, for those who do not scrape."
    )
