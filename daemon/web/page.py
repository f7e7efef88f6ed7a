"""The page at `/`: what the daemon is doing. The words are chosen here, the markup is `templates/overview.html`.

The page is rendered by the daemon; its script only fetches it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup

from daemon.engine.messages.events import RULE_SCORE
from daemon.metrics.collector import Picture, version
from daemon.metrics.snapshot import StreamSnapshot
from daemon.presentation.words import REASON_WORDS, instant, listed, plural, version_words
from daemon.web.day_chart import NARROW, WIDE, draw_days
from daemon.web.page_assets import ICON, SCRIPT, STYLE
from daemon.web.summary import state_words
from models.markup import render as fill

SERIES_SHOWN = 25
MONTH_DAYS = 30.44  # as budgets are counted
EVENTS_SHOWN = 10


def render(
    picture: Picture,
    series: Sequence[Mapping[str, Any]],
    events: Sequence[Mapping[str, Any]],
    days: Mapping[int, int],
    unready: str | None,
) -> str:
    """The whole page.

    Args:
        picture: The newest.
        series: Rows of `summary.series_rows`.
        events: Events as JSON objects, newest first.
        days: How many events began on a day, by its number since 1970.
        unready: Why the daemon is not ready, None when it is.
    """
    total = sum(len(stream.series) for stream in picture.streams.values())
    down: Mapping[str, str] = picture.process.get("down") or {}
    return fill(
        "daemon.web",
        "overview.html",
        icon=Markup(ICON),
        style=Markup(STYLE),
        script=Markup(SCRIPT),
        version=version(),
        unready=unready,
        shard="shard {} of {}".format(*picture.shard) if picture.shard[1] > 1 else "",
        started=instant(started) if (started := picture.process.get("started_at")) else "",
        taken_at=picture.taken_at,
        taken=instant(picture.taken_at),
        streams=[_stream(stream) for stream in picture.streams.values()],
        events=[event_item(event) for event in events],
        days=_days(picture, days),
        series=[series_item(row) for row in series],
        several=any(row["value"] is not None and len(row["value"]) > 1 for row in series),
        more=f"{len(series):,} of {plural(total, 'series')}" if total > len(series) else "",
        sources=[
            *(
                source_item(name, gauges, down.get(name, ""), picture.refusals.get(name))
                for name, gauges in picture.sources.items()
            ),
            _state(picture.store),
        ],
    )


def _days(picture: Picture, days: Mapping[int, int]) -> dict[str, Any] | None:
    """Alarms a day up to where the streams are, and what their budgets allow; None where nothing was told yet."""
    streams = picture.streams.values()
    reached = [stream.greatest_at for stream in streams if stream.greatest_at is not None]
    if not days or not reached:
        return None
    allowed = sum(stream.false_alarm_budget * len(stream.series) for stream in streams) / MONTH_DAYS
    wide, narrow = (draw_days(days, max(reached), allowed, width) for width in (WIDE, NARROW))
    return {"wide": wide, "narrow": narrow, "allowed": f"{allowed:.2g}"}


def _stream(stream: StreamSnapshot) -> dict[str, Any]:
    series = stream.series
    anomalous, silent = int(series.anomalous.sum()), int(series.silent.sum())
    pills = [("bad", f"{anomalous} anomalous")] if anomalous else []
    pills += [("warm", f"{silent} silent")] if silent else []
    warming = len(series) > 0 and not stream.series_by_status.get("ready", 0)
    worst = sorted(((n, reason) for reason, n in stream.rejected.items() if n), reverse=True)[:3]
    why = f" ({', '.join(f'{reason} {n:,}' for n, reason in worst)})" if worst else ""
    facts = {
        "series": f"{len(series):,} of at most {stream.series_limit:,}",
        "readings accepted": f"{stream.accepted:,}",
        "rejected": f"{sum(stream.rejected.values()):,}{why}",
        "late, gaps": f"{stream.late:,}, {stream.gaps:,}",
        "open episodes": f"{stream.open_episodes:,}",
        "false alarms allowed": f"{stream.false_alarm_budget:g} a series and month",
        "episodes measured": "-" if stream.episode_rate is None else f"{stream.episode_rate:.2g} a series and month",
        "model": _model(stream),
        "last slot": instant(stream.greatest_at),
    }
    return {
        "name": stream.name,
        "pills": pills,
        "state": state_words(stream),
        "warm_up": float(series.warm_up.mean()) if warming else None,
        "facts": list(facts.items()),
    }


def _model(stream: StreamSnapshot) -> str:
    if stream.model is None:
        return "training the first one" if stream.training else "none yet"
    return version_words(stream.model["version"]) + (", training the next" if stream.training else "")


def series_item(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `summary.rows_of`, as tables show it."""
    score = row["score"]
    pill, state = series_state(row)
    return {
        "series": row["series"],
        "stream": row["stream"],
        "link": "series?" + urlencode({"stream": row["stream"], "series": row["series"]}),
        "pill": pill,
        "state": state,
        "value": numbers(row["value"]),
        "expected": numbers(row["expected"]),
        "band": band(row["lower"], row["upper"]),
        "score": "" if score is None else f"{score:.2f}",
        "anomalous": score is not None and score > 1,
        "last": instant(row["last_reading_at"]),
    }


def series_state(row: Mapping[str, Any]) -> tuple[str, str]:
    """Kind of the pill, "" for none, and the state in words."""
    if row["silent"]:
        return "warm", "silent"
    if row["score"] is not None and row["score"] > 1:
        return "bad", "anomalous"
    if row["status"] == "ready":
        return "", "watched"
    if row["status"] == "queued":
        return "", "joining the model"
    return "", f"warming up, {int(row['warm_up'] * 100)} %"


def event_item(event: Mapping[str, Any]) -> dict[str, Any]:
    """An event as a list shows it."""
    members = event.get("members") or {}
    series = f"{int(members.get('count', 0)):,} series at once" if event.get("series") is None else str(event["series"])
    reasons = "; ".join(REASON_WORDS.get(reason, str(reason)) for reason in event["reasons"])
    return {
        "id": event["id"],
        "series": series,
        "stream": "" if series == event["stream"] else event["stream"],
        "open": event["state"] == "open",
        "when": when(event),
        "reasons": reasons[:1].upper() + reasons[1:],
        "evidence": evidence(event),
    }


def evidence(event: Mapping[str, Any]) -> str:
    """What was read, what was expected, and how bad that is."""
    parts = []
    if event.get("value") is not None:
        parts.append(f" Read {numbers(event['value'])}")
        if event.get("expected") is not None:
            parts.append(f", expected {numbers(event['expected'])}")
            if event.get("lower") is not None:
                parts.append(f" (usually {band(event['lower'], event['upper'])})")
        parts.append(f"{_score(event['score'])}.")
    members = event.get("members")
    if members:
        count, names = int(members.get("count", 0)), [str(name) for name in members.get("series", ())]
        more = f" and {count - len(names):,} more" if count > len(names) else ""
        parts.append(f" {', '.join(names)}{more}.")
    return "".join(parts)


def _score(score: float) -> str:
    """How bad it is; a broken rule's score is a fixed one and says nothing, an adopted regime has none."""
    if score > RULE_SCORE:
        return f"; score {score:.2f}"
    return "; rule" if score > 0.0 else ""


def when(event: Mapping[str, Any]) -> str:
    """When it was, in words."""
    started, ended = instant(event["started_at"]), instant(event["ended_at"])
    if event["state"] == "open":
        return f"since {started}"
    return started if started == ended else f"{started} to {ended}"


def source_item(name: str, gauges: Mapping[str, float], error: str, refusal: str | None) -> dict[str, str]:
    """A source: how it is, and its gauges in words."""
    shown = {key: value for key, value in gauges.items() if value or not key.startswith(("refused_", "closed_"))}
    pill, state = ("good", "up") if gauges.get("up") else ("warm", "not there")
    details = [f"{key.replace('_', ' ')} {value:,.0f}" for key, value in shown.items() if key != "up"]
    if error:
        pill, state, details = "bad", "down", [error, *details]
    if refusal is not None:
        details.append(f"refused: {refusal}")
    detail = ", ".join(details)
    return {"name": name, "pill": pill, "state": state, "detail": detail}


def _state(store: Mapping[str, Any]) -> dict[str, str]:
    at_ms = store.get("checkpoint_at_ms")
    saved = f"checkpoint of {instant(at_ms / 1000)}" if at_ms else "no checkpoint yet"
    failures = int(store.get("checkpoint_failures") or 0)
    pill, state = ("bad", f"{failures:,} failed") if failures else ("good", "sound")
    where = f", {store['state_dir']}" if store.get("state_dir") else ""
    detail = f"{saved}, {plural(int(store.get('journal_seq') or 0), 'journal entry')}{where}"
    return {"name": "state", "pill": pill, "state": state, "detail": detail}


def numbers(values: Sequence[float] | None) -> str:
    """One number, or a vector's first ones, with as many digits as matter to a reader."""
    return "" if values is None else listed([_number(value) for value in values])


def _number(value: float) -> str:
    if value and not 1e-4 <= abs(value) < 1e9:
        return f"{value:.3g}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def band(lower: Sequence[float] | None, upper: Sequence[float] | None) -> str:
    """Bounds in words, one range a variable."""
    if lower is None or upper is None:
        return ""
    return listed([f"{_number(low)} to {_number(high)}" for low, high in zip(lower, upper, strict=True)])
