"""Episodes as alerts of Prometheus' Alertmanager: firing while they are open, resolved at their end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from adapters.sinks.contract import Opening
from adapters.sinks.http_post import HttpPost, headers_of

Alert = dict[str, Any]

LEAST_S = 120.0
"""An alert fires at least so long, or Alertmanager, which waits half a minute for a group, would tell nobody of it."""
RESOLVED_S = 900.0
"""How long a resolved alert is told again, for an Alertmanager that was restarted before it had told anybody."""
_AT_ONCE = 500
_SAID = {"TidegaugeSilent": "stopped reporting", "TidegaugeNewRegime": "has a new normal"}
_NAMES = {"gap": "TidegaugeSilent", "drift": "TidegaugeNewRegime"}


class Alertmanager:
    """Keeps one Alertmanager told, by its API version 2.

    An alert's labels say whose it is, not what is odd: `alertname` (`TidegaugeAnomaly`, `TidegaugeSilent`,
    `TidegaugeNewRegime`), `stream`, `series`, and those that were configured. They do not change while an episode is
    open, or it would be another alert. Everything else is in its annotations.

    Firing alerts are told again every `resend_s` with an end four times that far away. So they survive a restart of
    Alertmanager, which remembers none, and end by themselves where Tidegauge is gone for good. An episode that was
    over before its alert had fired for two minutes ends when it has. Each of these is told as often as it takes; an
    alert told twice is one.

    Args:
        post: To `/api/v2/alerts`.
        labels: Added to every alert.
        resend_s: Seconds from one telling to the next.
        link: Address that an alert leads to; "" for none.
        clock: Epoch seconds.
    """

    def __init__(
        self,
        post: HttpPost,
        *,
        labels: Mapping[str, str] | None = None,
        resend_s: float = 60.0,
        link: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._post, self._labels, self._link, self._clock = post, dict(labels or {}), link, clock
        self.every_s = resend_s
        self._fired: dict[str, float] = {}  # when an open episode's alert was first taken, by id of the event
        self._resolved: dict[str, tuple[float, Alert]] = {}  # since when, and the alert, by its labels
        self._counts = {"refused": 0}

    def deliver(self, lines: list[bytes]) -> None:
        """See `Sink.deliver`; of several revisions of one event the last one counts."""
        revisions, now = [orjson.loads(line) for line in lines], self._clock()
        began = {each["id"]: now for each in revisions if each["state"] == "open" or each["revision"] == 0}
        fired = began | self._fired
        events = {each["id"]: each for each in revisions}
        alerts = {id_: self._alert(event, now, fired.get(id_)) for id_, event in events.items()}
        self._tell(list(alerts.values()))
        self._fired = {id_: at for id_, at in fired.items() if id_ not in events or events[id_]["state"] == "open"}
        for id_, event in events.items():
            key = _key(alerts[id_])
            self._resolved.pop(key, None)  # what fires anew must not be told as resolved
            if event["state"] == "closed":
                self._resolved[key] = now, alerts[id_]

    def repeat(self, lines: list[bytes]) -> None:
        """See `Repeating.repeat`."""
        now = self._clock()
        self._resolved = {key: each for key, each in self._resolved.items() if now - each[0] < RESOLVED_S}
        events = [orjson.loads(line) for line in lines]
        firing = [self._alert(event, now, None) for event in events]
        self._fired = {event["id"]: self._fired.get(event["id"], now - LEAST_S) for event in events}
        keys = {_key(alert) for alert in firing}
        self._tell([*(alert for key, (_, alert) in self._resolved.items() if key not in keys), *firing])

    def _alert(self, event: Mapping[str, Any], now: float, fired: float | None) -> Alert:
        """What is told of an event whose alert first fired at `fired`; None where that was an earlier life's doing."""
        if event["state"] == "open":
            ends = now + 4 * self.every_s
        else:
            ends = now if fired is None else max(now, fired + LEAST_S)
        whose = {"stream": event["stream"]} | ({} if event["series"] is None else {"series": event["series"]})
        alert: Alert = {
            "labels": self._labels | {"alertname": _name(event)} | whose,
            "annotations": _annotations(event),
            "startsAt": _instant(min(event["started_at"], now)),
            "endsAt": _instant(ends),
        }
        return alert | ({"generatorURL": self._link} if self._link else {})

    def _tell(self, alerts: Sequence[Alert]) -> None:
        for start in range(0, len(alerts), _AT_ONCE):
            part = alerts[start : start + _AT_ONCE]
            answer = self._post.post(orjson.dumps(part), {"Content-Type": "application/json"})
            if answer.status == 400 and len(part) > 1:  # one of them is not to its liking
                for alert in part:
                    self._tell([alert])
            elif answer.status == 400:
                self._counts["refused"] += 1
            elif not 200 <= answer.status < 300:
                raise OSError(f"answered {answer.status}: {answer.said}")

    def status(self) -> Mapping[str, float]:
        """Alerts refused."""
        return dict(self._counts)

    def close(self) -> None:
        """Nothing to release: what fires ends by itself, unless the next life tells it again."""


def _key(alert: Alert) -> str:
    """Its labels: what Alertmanager tells alerts apart by."""
    return orjson.dumps(alert["labels"], option=orjson.OPT_SORT_KEYS).decode()


def _name(event: Mapping[str, Any]) -> str:
    reasons = event["reasons"]
    return _NAMES.get(reasons[0], "TidegaugeAnomaly") if len(reasons) == 1 else "TidegaugeAnomaly"


def _annotations(event: Mapping[str, Any]) -> dict[str, str]:
    whose = event["stream"] if event["series"] is None else f"{event['series']} of {event['stream']}"
    said = {
        "summary": f"{whose} {_SAID.get(_name(event), 'is odd')}",
        "event": event["id"],
        "reasons": ", ".join(event["reasons"]),
    }
    said["since"] = _instant(event["started_at"])
    if event["score"]:
        said["score"] = f"{event['score']:.3g}"
    for key in ("value", "expected", "lower", "upper"):
        if event[key] is not None:
            said[key] = ", ".join(f"{number:.6g}" for number in event[key])
    if event["members"]:
        said["members"] = str(event["members"]["count"])
    return said


def _instant(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def made(settings: Any, opening: Opening) -> Alertmanager:
    """As an entry of `events.alertmanager` has it."""
    url = f"{settings.url.rstrip('/')}/api/v2/alerts"
    labels = dict(pair.split("=", 1) for pair in settings.labels)
    return Alertmanager(
        HttpPost(url, headers_of(settings.headers), settings.timeout, settings.ca),
        labels=labels,
        resend_s=settings.resend,
        link=settings.link or "",
    )
