"""The pages that list: series that are searched for, models, sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from daemon.metrics.collector import Picture
from daemon.presentation.words import instant, plural, window_words
from daemon.store import ModelRecord
from daemon.web import api_answers
from daemon.web.api_document import REASON_LIST, STATES
from daemon.web.frame_values import filled
from daemon.web.page import series_item
from daemon.web.series_search import SeriesFilter, SeriesPage
from daemon.web.summary import rows_of, state_words

_PILLS = {"promoted": "good", "candidate": "warm", "rejected": "warm", "rolled_back": "bad", "failed": "bad"}
_STATES = {"rolled_back": "taken back", "candidate": "waits for its slot"}
_UNSAID = ("up", "rejected_lines")


def search_page(picture: Picture, wanted: SeriesFilter, found: SeriesPage) -> str:
    """What a search found."""
    query = {
        name: value
        for name in ("q", "stream", "state", "reason", "order")
        if (value := getattr(wanted, name)) and value != "score"
    }
    rows = rows_of(found.rows)
    choices = (
        ("stream", "Stream", tuple(picture.streams)),
        ("state", "State", STATES),
        ("reason", "Open reason", REASON_LIST),
    )
    return filled(
        "search.html",
        wanted=wanted,
        choices=[
            {"name": name, "text": text, "options": options, "chosen": getattr(wanted, name)}
            for name, text, options in choices
        ],
        found=f"{plural(found.total, 'series')} found" + (f", {len(rows):,} shown." if found.next else "."),
        series=[series_item(row) for row in rows],
        several=any(row["value"] is not None and len(row["value"]) > 1 for row in rows),
        more="search?" + urlencode(query | {"cursor": found.next}) if found.next else "",
        query=urlencode(query),
    )


def models_page(picture: Picture, records: Sequence[ModelRecord], writable: bool, most: int = 50) -> str:
    """Versions of each stream, the newest first, with what the gate found."""
    streams = []
    for name, stream in picture.streams.items():
        own = [each for each in records if each.stream == name][-most:]
        streams.append(
            {
                "name": name,
                "says": state_words(stream),
                "models": [_model(api_answers.model(each, picture)) for each in reversed(own)],
            }
        )
    return filled("models.html", streams=streams, writable=writable)


def _model(model: Mapping[str, Any]) -> dict[str, Any]:
    state = "in service" if model["serves"] else _STATES.get(model["status"], model["status"])
    trained = ""
    if model["trained_from"] is not None:
        trained = instant(model["trained_to"])
    return {
        "version": "" if model["version"] is None else model["version"],
        "pill": "good" if model["serves"] else _PILLS.get(model["status"], "warm"),
        "state": state,
        "stream": model["stream"],
        "can_serve": model["kept"]
        and not model["serves"]
        and model["status"] in ("promoted", "rejected", "rolled_back"),
        "kind": " ".join(str(each) for each in (model["kind"], model["architecture"]) if each),
        "trained": trained,
        "gate": _gate(model),
    }


def _gate(model: Mapping[str, Any]) -> str:
    """What the gate measured, or why there is no model, in words."""
    if model["detail"] or model["reason"]:
        return str(model["detail"] or model["reason"])
    parts = []
    for facts, before in ((model["gate"], ""), (model["rollback"], "taken back: ")):
        if facts and facts.get("text"):
            parts.append(before + str(facts["text"]))
            continue
        numbers = [
            f"{key.replace('_', ' ')} {value:.3g}" if isinstance(value, float) else f"{key.replace('_', ' ')} {value}"
            for key, value in (facts or {}).items()
            if value is not None and not isinstance(value, dict | list)
        ]
        parts += [before + ", ".join(numbers)] if numbers else []
    return "; ".join(parts) or "no gate: the first, or put in by hand"


_WINDOWS = {"running": "warm", "ahead": "good", "weekly": "good", "over": ""}


def maintenance_page(picture: Picture, writable: bool) -> str:
    """Maintenance windows of all streams, those that run first, and a form for another."""
    found = [window for stream in picture.streams.values() for window in stream.maintenance]
    found.sort(key=lambda window: list(_WINDOWS).index(window["state"]))
    windows = [
        {
            **window,
            "when": window_words(window),
            "pill": _WINDOWS[window["state"]] or "soft",
            "can_end": window["id"] is not None and window["state"] != "over",
            "verb": "Take away" if window["state"] == "ahead" else "End now",
        }
        for window in found
    ]
    zones = sorted({stream.timezone for stream in picture.streams.values()})
    return filled(
        "maintenance.html",
        windows=windows,
        streams=list(picture.streams),
        zones=", ".join(zones) or "UTC",
        can_end=any(window["can_end"] for window in windows),
        writable=writable,
    )


def sources_page(picture: Picture) -> str:
    """Sources: up or not and why, how far behind, what was refused."""
    items = []
    for source in api_answers.sources(picture)["sources"]:
        state = ("good", "up") if source["up"] else ("bad", "down") if source["error"] else ("warm", "not there")
        facts = [("rejected lines", f"{source['rejected_lines']:,.0f}")]
        facts += [
            (key.replace("_", " "), f"{value:,.0f}")
            for key, value in source["gauges"].items()
            if key not in _UNSAID and (value or not key.startswith(("refused_", "closed_")))
        ]
        items.append(
            {
                "name": source["name"],
                "pill": state[0],
                "state": state[1],
                "error": source["error"],
                "facts": facts,
                "refused": source["refused"],
            }
        )
    return filled("sources.html", sources=items)
