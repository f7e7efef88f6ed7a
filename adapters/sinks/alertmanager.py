"""Episodes as alerts of Prometheus' Alertmanager: firing while they are open, resolved at their end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from adapters.sinks.contract import Opening
from adapters.sinks.gist import figures, instant, kind_of, summary
from adapters.sinks.http_post import HttpPost, headers_of

Alert = dict[str, Any]

LEAST = 2
"""Tellings that an alert fires at least, or Alertmanager, which waits half a minute for a group, would tell nobody."""
RESOLVED_S = 900.0
"""How long a resolved alert is told again, for an Alertmanager that was restarted before it had told anybody."""
_AT_ONCE = 500
_NAMES = {"anomaly": "TidegaugeAnomaly", "silence": "TidegaugeSilent", "regime": "TidegaugeNewRegime"}


class Alertmanager:
    """Keeps one Alertmanager told, by its API version 2.

    An alert's labels say whose it is, not what is odd: `alertname` (`TidegaugeAnomaly`, `TidegaugeSilent`,
    `TidegaugeNewRegime`), `stream`, `series`, `severity`, and those that were configured. They do not change while an
    episode is open, or it would be another alert; so it is when the episode becomes more severe, and the one before is
    resolved. Everything else is in its annotations.

    Firing alerts are told again every `resend_s` with an end four times that far away. So they survive a restart of
    Alertmanager, which remembers none, and end by themselves where Tidegauge is gone for good. An episode that was
    over before its alert had fired for two tellings ends when it has. Each of these is told as often as it takes; an
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
        self.every_s, self._least_s = resend_s, LEAST * resend_s
        self._fired: dict[str, float] = {}  # when an open episode's alert was first taken, by id of the event
        self._resolved: dict[str, tuple[float, Alert]] = {}  # since when, and the alert, by its labels
        self._severity: dict[str, str] = {}  # that an open episode's alert was told with, by id of the event
        self._counts = {"refused": 0}

    def deliver(self, lines: list[bytes]) -> None:
        """See `Sink.deliver`; of several revisions of one event the last one counts."""
        revisions, now = [orjson.loads(line) for line in lines], self._clock()
        # one that goes on, and is not known here, was told by an earlier life
        began = {e["id"]: now for e in revisions if e["revision"] == 0 or (e["notify"] and e["state"] == "open")}
        ongoing = {each["id"]: now - self._least_s for each in revisions if each["state"] == "open"}
        fired = ongoing | began | self._fired
        events = {each["id"]: each for each in revisions}
        alerts = {id_: self._alert(event, now, fired.get(id_)) for id_, event in events.items()}
        outgrown = self._outgrown(list(events.values()), now)
        self._tell([*outgrown, *alerts.values()])
        self._fired = {id_: at for id_, at in fired.items() if id_ not in events or events[id_]["state"] == "open"}
        for id_, event in events.items():
            key = _key(alerts[id_])
            self._resolved.pop(key, None)  # what fires anew must not be told as resolved
            if event["state"] == "closed":
                self._resolved[key] = now, alerts[id_]
        self._end(outgrown, now)

    def repeat(self, lines: list[bytes]) -> None:
        """See `Repeating.repeat`."""
        now = self._clock()
        self._resolved = {key: each for key, each in self._resolved.items() if now - each[0] < RESOLVED_S}
        events = [orjson.loads(line) for line in lines]
        firing = [self._alert(event, now, None) for event in events]
        self._fired = {event["id"]: self._fired.get(event["id"], now - self._least_s) for event in events}
        self._end(self._outgrown(events, now), now)
        keys = {_key(alert) for alert in firing}
        self._tell([*(alert for key, (_, alert) in self._resolved.items() if key not in keys), *firing])

    def _outgrown(self, events: Sequence[Mapping[str, Any]], now: float) -> list[Alert]:
        """The ends of alerts whose episodes became more severe, and are other alerts now."""
        ends = [
            self._alert({**event, "severity": before, "state": "closed"}, now, None)
            for event in events
            if "severity" not in self._labels
            and (before := self._severity.get(event["id"])) not in (None, event["severity"])
        ]
        for event in events:
            self._severity[event["id"]] = event["severity"]
            if event["state"] == "closed":
                del self._severity[event["id"]]
        return ends

    def _end(self, alerts: Sequence[Alert], now: float) -> None:
        """Keep ended alerts, to tell them again for a while."""
        self._resolved |= {_key(alert): (now, alert) for alert in alerts}

    def _alert(self, event: Mapping[str, Any], now: float, fired: float | None) -> Alert:
        """What is told of an event whose alert first fired at `fired`; None where that was an earlier life's doing."""
        if event["state"] == "open":
            ends = now + 4 * self.every_s
        else:
            ends = now if fired is None else max(now, fired + self._least_s)
        whose = {"stream": event["stream"]} | ({} if event["series"] is None else {"series": event["series"]})
        alert: Alert = {
            "labels": {"severity": event["severity"]} | self._labels | {"alertname": _NAMES[kind_of(event)]} | whose,
            "annotations": _annotations(event),
            "startsAt": instant(min(event["started_at"], now)),
            "endsAt": instant(ends),
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


def _annotations(event: Mapping[str, Any]) -> dict[str, str]:
    return {
        "summary": summary(event, "open"),
        "event": event["id"],
        "reasons": ", ".join(event["reasons"]),
        "since": instant(event["started_at"]),
        **figures(event),
    }


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
