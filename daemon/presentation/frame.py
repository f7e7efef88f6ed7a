"""Events and figures as tables of pandas, for whoever counts and draws them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from daemon.engine.messages.events import Event

_TEXTS = ("id", "stream", "series", "state", "variable", "network", "reasons", "severity")
_NUMBERS = ("value", "revised", "expected", "lower", "upper")  # each with one number for each variable


def to_frame(events: Sequence[Event]) -> pd.DataFrame:
    """A row for each event or revision given, in their order, with a column for each key of an event.

    Instants are of UTC and know it. Where a reading has several variables, `value` is that of the first, `value_2` of
    the second and so on; `revised`, `expected`, `lower` and `upper` likewise. What an event nests is cut to what a cell
    can hold: `reasons` joined by commas, `variable` and `network` the ones that contributed most, `members` their
    number. Where an event has none of it, the cell is missing. The columns are there without events, too.
    """
    width = max((len(getattr(event, name) or ()) for event in events for name in _NUMBERS), default=1) or 1
    columns = {
        "id": [event.id for event in events],
        "revision": np.array([event.revision for event in events], np.int64),
        "stream": [event.stream for event in events],
        "series": [event.series for event in events],
        "state": [event.state for event in events],
        "reasons": [", ".join(event.reasons) for event in events],
        "started_at": utc([event.started_at for event in events]),
        "ended_at": utc([event.ended_at for event in events]),
        "at": utc([event.at for event in events]),
        "notify": np.array([event.notify for event in events], np.bool_),
        "notified": np.array([event.notified for event in events], np.bool_),
        "maintenance": np.array([event.maintenance for event in events], np.bool_),
        "withheld": np.array([event.withheld for event in events], np.bool_),
        "severity": [event.severity for event in events],
        "score": np.array([event.score for event in events], np.float64),
        "rarity": np.array([event.rarity for event in events], np.float64),
        "threshold": np.array([event.threshold for event in events], np.float64),
        "reconstruction_error": np.array([event.reconstruction_error for event in events], np.float64),
        "value_at": _utc_or_none([event.value_at for event in events]),
    }
    for name in _NUMBERS:
        numbers = np.full((len(events), width), np.nan)
        for row, event in zip(numbers, events, strict=True):
            found = getattr(event, name) or ()
            row[: len(found)] = found
        columns |= {name if i == 0 else f"{name}_{i + 1}": numbers[:, i] for i in range(width)}
    columns |= {
        "variable": [event.variables[0]["variable"] if event.variables else None for event in events],
        "network": [event.networks[0]["network"] if event.networks else None for event in events],
        "members": pd.array([event.members["count"] if event.members else None for event in events], "Int64"),
    }
    return pd.DataFrame(columns).astype(dict.fromkeys(_TEXTS, "string"))


def write_figures(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write figures as CSV, a row each; what is nested has a column for each of its keys, `outer.inner`.

    Raises:
        OSError: It cannot be written.
    """
    pd.json_normalize([dict(row) for row in rows], sep=".").to_csv(path, index=False)


def _utc_or_none(epoch_s: Sequence[int | None]) -> pd.DatetimeIndex:
    """As `utc`; NaT where there is no instant."""
    none = np.iinfo(np.int64).min  # numpy's NaT
    return utc([none if each is None else each for each in epoch_s])


def utc(epoch_s: Sequence[int] | npt.NDArray[np.int64]) -> pd.DatetimeIndex:
    """Epoch seconds as instants of UTC.

    >>> str(utc([1_767_225_600])[0])
    '2026-01-01 00:00:00+00:00'
    """
    return pd.DatetimeIndex(np.asarray(epoch_s, np.int64).astype("datetime64[s]")).tz_localize("UTC")
