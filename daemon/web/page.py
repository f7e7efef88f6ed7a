"""The page at `/`: what the daemon is doing, in words. Rendered here; the script only fetches it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from daemon.engine.messages.events import RULE_SCORE
from daemon.metrics.collector import Picture, version
from daemon.metrics.snapshot import StreamSnapshot
from daemon.presentation.words import REASON_WORDS, instant, listed, plural, version_words
from daemon.web.page_assets import SCRIPT, STYLE
from daemon.web.summary import state_words

SERIES_SHOWN = 25
EVENTS_SHOWN = 10

_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Cpath d='M1 9q2-5 4 0t4 0 4 0 2-2' "
    "fill='none' stroke='%230b5cad' stroke-width='2'/%3E%3C/svg%3E"
)


def render(
    picture: Picture, series: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]], unready: str | None
) -> str:
    """The whole page.

    Args:
        picture: The newest.
        series: Rows of `summary.series_rows`.
        events: Events as JSON objects, newest first.
        unready: Why the daemon is not ready, None when it is.
    """
    total = sum(len(stream.series) for stream in picture.streams.values())
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Tidegauge</title>
<meta name="viewport" content="width=device-width,initial-scale=1"><link rel="icon" href="{_ICON}">
<style>{STYLE}</style></head>
<body><div class="wrap">
<header id="head" data-part>{_head(picture, unready)}</header>
<main>
<section aria-labelledby="h-streams"><h2 id="h-streams">Streams</h2>
<div class="cards" id="streams" data-part>{_streams(picture)}</div></section>
<section aria-labelledby="h-events"><h2 id="h-events">Latest events</h2>
<div id="events" data-part>{_events(events)}</div></section>
<section aria-labelledby="h-series"><h2 id="h-series">Series with the greatest score</h2>
<div id="series" data-part>{_series(series, total)}</div></section>
<section aria-labelledby="h-sources"><h2 id="h-sources">Sources and state</h2>
<div id="sources" data-part>{_sources(picture)}</div></section>
</main>
<footer><p><a href="metrics">Metrics</a> <a href="api/v1/status">Status (JSON)</a>
<a href="api/v1/series">Series (JSON)</a> <a href="api/v1/events">Events (JSON)</a>
<a href="-/ready">Readiness</a></p><p>Tidegauge {escape(version())}. All times are UTC.
<span id="live">This page keeps itself up to date.</span></p></footer>
</div><script>{SCRIPT}</script></body></html>
"""


def _head(picture: Picture, unready: str | None) -> str:
    state = _pill("good", "ready") if unready is None else _pill("warm", "not ready")
    why = "" if unready is None else f' <span class="soft">{escape(unready)}</span>'
    started = picture.process.get("started_at")
    since = f"running since {instant(started)}, " if started else ""
    return (
        f"<h1>Tidegauge</h1>{state}{why}"
        '<span id="offline" class="pill bad" role="status">no answer; showing the last state</span>'
        f'<span class="soft right" id="taken" data-at="{escape(str(picture.taken_at))}">'
        f"{since}as of {instant(picture.taken_at)}</span>"
    )


def _streams(picture: Picture) -> str:
    return "".join(_stream(stream) for stream in picture.streams.values()) or _empty("No streams are configured.")


def _stream(stream: StreamSnapshot) -> str:
    series, counts = stream.series, stream.series_by_status
    ready = counts.get("ready", 0)
    anomalous, silent = int((series.score > 1).sum()), int(series.silent.sum())
    pill = _pill("bad", f"{anomalous} anomalous") if anomalous else ""
    pill += _pill("warm", f"{silent} silent") if silent else ""
    share = float(series.warm_up.mean()) if len(series) else 0.0
    bar = (
        ""
        if ready or not len(series)
        else f'<progress max="1" value="{share:.4f}" aria-label="warm-up">{share:.0%}</progress>'
    )
    rejected = sum(stream.rejected.values())
    worst = sorted(((n, reason) for reason, n in stream.rejected.items() if n), reverse=True)[:3]
    why = f" ({', '.join(f'{reason} {n:,}' for n, reason in worst)})" if worst else ""
    rows = {
        "series": f"{len(series):,} of at most {stream.series_limit:,}",
        "readings accepted": f"{stream.accepted:,}",
        "rejected": f"{rejected:,}{why}",
        "late, gaps": f"{stream.late:,}, {stream.gaps:,}",
        "open episodes": f"{stream.open_episodes:,}",
        "false alarms allowed": f"{stream.false_alarm_budget:g} a series and month",
        "episodes measured": "-" if stream.episode_rate is None else f"{stream.episode_rate:.2g} a series and month",
        "model": _model(stream),
        "last slot": instant(stream.greatest_at),
    }
    items = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in rows.items())
    return (
        f'<article class="card"><h3>{escape(stream.name)} {pill}</h3>'
        f"<p>{escape(state_words(stream))}</p>{bar}<dl>{items}</dl></article>"
    )


def _model(stream: StreamSnapshot) -> str:
    if stream.model is None:
        return "training the first one" if stream.training else "none yet"
    return version_words(stream.model["version"]) + (", training the next" if stream.training else "")


def _series(rows: Sequence[Mapping[str, Any]], total: int) -> str:
    if not rows:
        return _empty("No series yet: they appear with their first reading.")
    several = any(row["value"] is not None and len(row["value"]) > 1 for row in rows)
    note = f'<p class="soft">{len(rows):,} of {plural(total, "series")}.</p>' if total > len(rows) else ""
    head = "".join(
        f'<th scope="col"{" class=n" if number else ""}>{text}</th>'
        for text, number in (
            ("Series", False),
            ("Stream", False),
            ("State", False),
            ("Readings" if several else "Reading", True),
            ("Expected", True),
            ("Usual range", True),
            ("Score", True),
            ("Last reading", True),
        )
    )
    body = "".join(_series_row(row) for row in rows)
    return (
        '<div class="scroll" tabindex="0" role="region" aria-labelledby="h-series"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{note}"
    )


def _series_row(row: Mapping[str, Any]) -> str:
    score = row["score"]
    shown = "" if score is None else f"{score:.2f}"
    if score is not None and score > 1:
        shown = f"<strong>{shown}</strong>"
    cells = (numbers(row["value"]), numbers(row["expected"]), _band(row["lower"], row["upper"]))
    return (
        f'<tr><th scope="row" class="name">{escape(row["series"])}</th><td class="name">{escape(row["stream"])}</td>'
        f"<td>{_series_state(row)}</td>{''.join(f'<td class=n>{escape(cell)}</td>' for cell in cells)}"
        f"<td class=n>{shown}</td><td class=n>{instant(row['last_reading_at'])}</td></tr>"
    )


def _series_state(row: Mapping[str, Any]) -> str:
    if row["silent"]:
        return _pill("warm", "silent")
    if row["score"] is not None and row["score"] > 1:
        return _pill("bad", "anomalous")
    if row["status"] == "ready":
        return "watched"
    if row["status"] == "queued":
        return "joining the model"
    return f"warming up, {int(row['warm_up'] * 100)} %"


def _events(events: Sequence[Mapping[str, Any]]) -> str:
    if not events:
        return _empty("None so far.")
    return f'<ol class="events">{"".join(_event(event) for event in events)}</ol>'


def _event(event: Mapping[str, Any]) -> str:
    whole = event.get("series") is None
    members = event.get("members") or {}
    series = f"{int(members.get('count', 0)):,} series at once" if whole else str(event["series"])
    reasons = "; ".join(REASON_WORDS.get(reason, str(reason)) for reason in event["reasons"])
    state = _pill("bad", "open") if event["state"] == "open" else _pill("good", "over")
    stream = "" if series == event["stream"] else f' <span class="soft">{escape(str(event["stream"]))}</span>'
    return (
        f'<li><div class="line"><span><strong>{escape(series)}</strong>{stream} {state}</span>'
        f'<span class="soft">{_when(event)}</span></div>'
        f"<p>{escape(reasons[:1].upper() + reasons[1:])}.{escape(_evidence(event))}</p></li>"
    )


def _evidence(event: Mapping[str, Any]) -> str:
    """What was read, what was expected, and how bad that is."""
    parts = []
    if event.get("value") is not None:
        parts.append(f" Read {numbers(event['value'])}")
        if event.get("expected") is not None:
            parts.append(f", expected {numbers(event['expected'])}")
            if event.get("lower") is not None:
                parts.append(f" (usually {_band(event['lower'], event['upper'])})")
        parts.append(f"{_score(event['score'])}.")
    members = event.get("members")
    if members:
        count, names = int(members.get("count", 0)), [str(name) for name in members.get("labels", ())]
        more = f" and {count - len(names):,} more" if count > len(names) else ""
        parts.append(f" {', '.join(names)}{more}.")
    return "".join(parts)


def _score(score: float) -> str:
    """How bad it is; a broken rule's score is a fixed one and says nothing, an adopted regime has none."""
    if score > RULE_SCORE:
        return f"; score {score:.2f}"
    return "; rule" if score > 0.0 else ""


def _when(event: Mapping[str, Any]) -> str:
    started, ended = instant(event["started_at"]), instant(event["ended_at"])
    if event["state"] == "open":
        return f"since {started}"
    return started if started == ended else f"{started} to {ended}"


def _sources(picture: Picture) -> str:
    rows = []
    for name, gauges in picture.sources.items():
        up = _pill("good", "up") if gauges.get("up") else _pill("warm", "not there")
        shown = {key: value for key, value in gauges.items() if value or not key.startswith(("refused_", "closed_"))}
        rest = ", ".join(f"{key.replace('_', ' ')} {value:,.0f}" for key, value in shown.items() if key != "up")
        rows.append(f'<tr><th scope="row" class="name">{escape(name)}</th><td>{up}</td><td>{escape(rest)}</td></tr>')
    store = picture.store
    at_ms = store.get("checkpoint_at_ms")
    saved = f"checkpoint of {instant(at_ms / 1000)}" if at_ms else "no checkpoint yet"
    failures = int(store.get("checkpoint_failures") or 0)
    state = _pill("bad", f"{failures:,} failed") if failures else _pill("good", "sound")
    detail = f"{saved}, {plural(int(store.get('journal_seq') or 0), 'journal entry')}"
    where = f", {store['state_dir']}" if store.get("state_dir") else ""
    rows.append(f'<tr><th scope="row">state</th><td>{state}</td><td>{escape(detail + where)}</td></tr>')
    return f'<div class="scroll"><table><tbody>{"".join(rows)}</tbody></table></div>'


def numbers(values: Sequence[float] | None) -> str:
    """One number, or a vector's first ones, with as many digits as matter to a reader."""
    return "" if values is None else listed([_number(value) for value in values])


def _number(value: float) -> str:
    if value and not 1e-4 <= abs(value) < 1e9:
        return f"{value:.3g}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _band(lower: Sequence[float] | None, upper: Sequence[float] | None) -> str:
    if lower is None or upper is None:
        return ""
    return listed([f"{_number(low)} to {_number(high)}" for low, high in zip(lower, upper, strict=True)])


def _pill(kind: str, text: str) -> str:
    return f'<span class="pill {kind}">{escape(text)}</span>'


def _empty(text: str) -> str:
    return f'<p class="empty">{escape(text)}</p>'
