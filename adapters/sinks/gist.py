"""What an event says in a few words and figures, for sinks that speak to people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

Kind = Literal["anomaly", "silence", "regime"]

_KINDS: Mapping[str, Kind] = {"gap": "silence", "drift": "regime"}
_OPEN = {"anomaly": "is odd", "silence": "stopped reporting", "regime": "has a new normal"}
_CLOSED = {"anomaly": "is as usual again", "silence": "reports again", "regime": "has a new normal"}


def kind_of(event: Mapping[str, Any]) -> Kind:
    """What it is about: a silence or a new regime where that is all, else an anomaly."""
    reasons = event["reasons"]
    return _KINDS.get(reasons[0], "anomaly") if len(reasons) == 1 else "anomaly"


def summary(event: Mapping[str, Any], state: str) -> str:
    """One sentence without a full stop, as of an event in that state: `pier of tide is odd`."""
    whose = event["stream"] if event["series"] is None else f"{event['series']} of {event['stream']}"
    return f"{whose} {(_OPEN if state == 'open' else _CLOSED)[kind_of(event)]}"


def figures(event: Mapping[str, Any]) -> dict[str, str]:
    """Its numbers that are there: score, value, what was expected with bounds, how many series."""
    said = {"score": f"{event['score']:.3g}"} if event["score"] else {}
    for key in ("value", "expected", "lower", "upper"):
        if event[key] is not None:
            said[key] = ", ".join(f"{number:.6g}" for number in event[key])
    if event["members"]:
        said["members"] = str(event["members"]["count"])
    return said


def instant(at: float) -> str:
    """Epoch seconds as ISO 8601 in UTC, with milliseconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
