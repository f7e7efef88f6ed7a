"""What the API answers, as JSON Schema: components of its document. A test holds every answer against them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

ERROR = "Error"

_TEXT: Schema = {"type": "string"}
_WHOLE: Schema = {"type": "integer"}
_NUMBER: Schema = {"type": "number"}
_YES: Schema = {"type": "boolean"}
_ANY: Schema = {"type": "object"}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _list(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def _map(schema: Schema) -> Schema:
    return {"type": "object", "additionalProperties": schema}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(says: str, optional: Mapping[str, Schema] | None = None, **properties: Schema) -> Schema:
    """An object with exactly these properties; all but the optional ones are there."""
    return {
        "type": "object",
        "description": says,
        "properties": {**properties, **(optional or {})},
        "required": list(properties),
        "additionalProperties": False,
    }


def _instant() -> Schema:
    return {"type": "integer", "minimum": 0, "maximum": 253_402_300_799}


_NUMBERS = _list(_NUMBER)
_MAYBE_WHOLE, _MAYBE_NUMBER, _MAYBE_TEXT = _or_null(_WHOLE), _or_null(_NUMBER), _or_null(_TEXT)
_COLUMN = _list(_MAYBE_NUMBER)

SCHEMAS: dict[str, Schema] = {
    ERROR: _object("What is wrong, and what to do.", {"streams": _list(_TEXT)}, error=_TEXT),
    "Document": {"type": "object", "description": "An OpenAPI document."},
    "Status": _object(
        "The daemon.",
        version=_TEXT,
        taken_at=_NUMBER,
        ready=_YES,
        not_ready=_MAYBE_TEXT,
        started_at=_MAYBE_NUMBER,
        shard=_object("Which part of the series is watched here.", index=_WHOLE, of=_WHOLE),
        streams=_map(_ref("Stream")),
        sources=_map(_map(_NUMBER)),
        refusals=_map(_TEXT),
        store=_ANY,
        process=_ANY,
    ),
    "Streams": _object("All streams.", streams=_list(_ref("NamedStream"))),
    "NamedStream": {"allOf": [_ref("Stream")], "description": "A stream with its `name`.", "required": ["name"]},
    "Stream": {
        "type": "object",
        "description": "One stream: its state in words, its warm-up, and all that is counted.",
        "properties": {
            "name": _TEXT,
            "state": _TEXT,
            "interval_s": _WHOLE,
            "variables": _list(_TEXT),
            "last_slot_at": _MAYBE_WHOLE,
            "warm_up": _object("Of its series.", share=_NUMBER, first_ready_at=_MAYBE_WHOLE, all_ready_at=_MAYBE_WHOLE),
            "series": _map(_NUMBER),
            "readings": _ANY,
            "anomalies": _map(_WHOLE),
            "open_episodes": _WHOLE,
            "threshold": _NUMBER,
            "false_alarms_per_month": _NUMBER,
            "episodes_per_month": _MAYBE_NUMBER,
            "model": _or_null(_ANY),
            "trainings": _map(_WHOLE),
            "training_failures": _map(_WHOLE),
            "rollbacks": _WHOLE,
            "labels": _map(_WHOLE),
            "drift_detections": _WHOLE,
            "training": _YES,
            "next_training_at": _MAYBE_WHOLE,
            "maintenance": _list(_ref("Window")),
        },
        "required": ["state", "interval_s", "variables", "series", "readings", "model"],
    },
    "SeriesList": _object(
        "Some series, and how many there are in all that were asked for.",
        series=_list(_ref("Series")),
        total=_WHOLE,
        next=_MAYBE_TEXT,
    ),
    "Series": _object(
        "One series as it is now.",
        stream=_TEXT,
        series=_TEXT,
        status={"type": "string", "enum": ["ready", "queued", "warming"]},
        silent=_YES,
        reasons=_list(_TEXT),
        warm_up=_NUMBER,
        ready_at=_MAYBE_WHOLE,
        last_reading_at=_MAYBE_WHOLE,
        value=_or_null(_NUMBERS),
        expected=_or_null(_NUMBERS),
        lower=_or_null(_NUMBERS),
        upper=_or_null(_NUMBERS),
        score=_MAYBE_NUMBER,
        rarity=_MAYBE_NUMBER,
        threshold=_NUMBER,
        reconstruction_error=_MAYBE_NUMBER,
    ),
    "Course": _object(
        "A series in a range. Columns have an entry a point, those of readings a list with one a variable.",
        stream=_TEXT,
        series=_TEXT,
        variables=_list(_TEXT),
        since=_WHOLE,
        until=_WHOLE,
        step_s=_WHOLE,
        at=_list(_WHOLE),
        value=_list(_COLUMN),
        low=_list(_COLUMN),
        high=_list(_COLUMN),
        expected=_list(_COLUMN),
        lower=_list(_COLUMN),
        upper=_list(_COLUMN),
        score=_COLUMN,
        threshold=_COLUMN,
        events=_list(_ref("Event")),
        labels=_list(_ref("Label")),
        promotions=_list(_ref("Model")),
    ),
    "Events": _object("Some events; `next` is None behind the last.", events=_list(_ref("Event")), next=_MAYBE_WHOLE),
    "EventDetail": _object(
        "One event.",
        event=_ref("Event"),
        words=_list(_TEXT),
        revisions=_list(_ref("Event")),
        similar=_list(_ref("Event")),
        labels=_list(_ref("Label")),
    ),
    "Event": {
        "type": "object",
        "description": "One revision of an event, as docs/events.md has it.",
        "properties": {
            "id": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
            "revision": _WHOLE,
            "stream": _TEXT,
            "series": _MAYBE_TEXT,
            "state": {"type": "string", "enum": ["open", "closed"]},
            "reasons": _list(_TEXT),
            "started_at": _WHOLE,
            "ended_at": _WHOLE,
            "at": _WHOLE,
            "notify": _YES,
            "withheld": _YES,
            "severity": {"type": "string", "enum": ["info", "warning", "critical"]},
            "score": _NUMBER,
            "rarity": _NUMBER,
            "threshold": _NUMBER,
            "value": _or_null(_NUMBERS),
            "expected": _or_null(_NUMBERS),
            "lower": _or_null(_NUMBERS),
            "upper": _or_null(_NUMBERS),
        },
        "required": ["id", "revision", "stream", "series", "state", "reasons", "started_at", "ended_at", "at", "score"],
    },
    "Labels": _object("Labels as they were given.", labels=_list(_ref("Label"))),
    "Label": _object(
        "What an operator said of a period.",
        stream=_TEXT,
        series=_TEXT,
        kind=_TEXT,
        since=_WHOLE,
        until=_WHOLE,
        note=_TEXT,
        given_at=_NUMBER,
    ),
    "Models": _object("Versions of models.", models=_list(_ref("Model"))),
    "Model": _object(
        "What a training came to. `at` is when that was recorded.",
        stream=_TEXT,
        version=_MAYBE_WHOLE,
        status=_TEXT,
        serves=_YES,
        kept=_YES,
        at=_NUMBER,
        kind=_MAYBE_TEXT,
        architecture=_MAYBE_TEXT,
        loss=_MAYBE_NUMBER,
        trained_from=_MAYBE_NUMBER,
        trained_to=_MAYBE_NUMBER,
        gate=_or_null(_ANY),
        rollback=_or_null(_ANY),
        reason=_MAYBE_TEXT,
        detail=_MAYBE_TEXT,
    ),
    "LabelBody": _object(
        "A label; `until` is the newest reading where it is null.",
        {"until": _or_null(_instant()), "note": {"type": "string", "maxLength": 500}},
        stream={"type": "string", "maxLength": 64},
        series={"type": "string", "maxLength": 256},
        kind={"type": "string", "enum": ["fault", "normal"]},
        since=_instant(),
    ),
    "UnlabelBody": _object(
        "The label that begins in this slot.",
        {"note": {"type": "string", "maxLength": 500}},
        stream={"type": "string", "maxLength": 64},
        series={"type": "string", "maxLength": 256},
        since=_instant(),
    ),
    "Given": _object(
        "The label as it holds, of kind `none` where it is taken back, and the rarity from which its series alarms.",
        stream=_TEXT,
        series=_TEXT,
        kind=_TEXT,
        since=_WHOLE,
        until=_WHOLE,
        note=_TEXT,
        threshold_before=_NUMBER,
        threshold=_NUMBER,
    ),
    "Windows": _object("Maintenance windows.", windows=_list(_ref("Window"))),
    "Window": _object(
        "One; `id` is null where the configuration has it, `state` is `running`, `ahead`, `over` or `weekly`.",
        stream=_TEXT,
        id=_MAYBE_TEXT,
        series=_TEXT,
        start=_MAYBE_TEXT,
        end=_MAYBE_TEXT,
        weekly=_MAYBE_TEXT,
        duration_s=_MAYBE_WHOLE,
        timezone=_TEXT,
        learn=_YES,
        note=_TEXT,
        state=_TEXT,
    ),
    "WindowBody": _object(
        "A window, by the keys of the configuration; times are local to the stream, `duration` is such as 2h.",
        {
            **{
                name: _or_null({"type": "string", "maxLength": 64})
                for name in ("stream", "start", "end", "weekly", "duration", "timezone")
            },
            "series": {"type": "string", "minLength": 1, "maxLength": 256},
            "learn": _YES,
            "note": {"type": "string", "maxLength": 500},
        },
    ),
    "WhatIfBody": _object(
        "Another budget of a stream, one of the two at least, over its last days or all.",
        {
            "false_alarms_per_month": _or_null({"type": "number", "exclusiveMinimum": 0, "maximum": 1000}),
            "alarms_per_day": _or_null({"type": "integer", "minimum": 1, "maximum": 1_000_000}),
            "days": _or_null({"type": "integer", "minimum": 1, "maximum": 3660}),
        },
        stream={"type": "string", "maxLength": 64},
    ),
    "WhatIf": _object(
        "`state` is `none`, `running`, `done` or `failed`; `found` is what `tidegauge what-if --json` prints.",
        state=_TEXT,
        asked=_or_null(_ANY),
        at=_MAYBE_NUMBER,
        error=_MAYBE_TEXT,
        found=_or_null(_ANY),
    ),
    "EndBody": _object("A window, by its id.", id={"type": "string", "minLength": 1, "maxLength": 8}),
    "ServeBody": _object(
        "A version; null: the promoted one before the one in service.",
        {"version": _or_null({"type": "integer", "minimum": 1, "maximum": 1 << 31})},
        stream={"type": "string", "maxLength": 64},
    ),
    "Served": _object("What serves now.", stream=_TEXT, version=_WHOLE),
    "Sources": _object("All sources.", sources=_list(_ref("Source"))),
    "Source": _object(
        "One source.",
        name=_TEXT,
        stream=_TEXT,
        up=_YES,
        error=_MAYBE_TEXT,
        refused=_MAYBE_TEXT,
        rejected_lines=_NUMBER,
        gauges=_map(_NUMBER),
    ),
}
