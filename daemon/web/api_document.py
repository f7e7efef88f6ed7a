"""What the API is: one table, by which requests are routed and read and which `/api/v1/openapi.json` is written from.

A handler is given the values of the parameters that stand here and no others, so that none is taken that is not said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from daemon.web.api_schemas import ERROR, SCHEMAS

PREFIX = "/api/v1"
LATEST = 1 << 42
"""Greatest instant that is taken, epoch seconds, and the smallest with a minus; a number has no more digits."""
_WHOLE = re.compile(r"-?[0-9]{1,15}")


class ParameterError(ValueError):
    """A parameter that cannot be used; the message says why and what can."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a query.

    Attributes:
        name: Its name.
        says: What it is, for people.
        schema: JSON schema of its value.
        required: Whether it must be given.
    """

    name: str
    says: str
    schema: Mapping[str, Any]
    required: bool = False

    def read(self, text: str) -> Any:
        """The value. Raises ParameterError."""
        kind = self.schema.get("type")
        if self.schema.get("format") == "instant":
            return _instant(self.name, text)
        if kind == "integer":
            low, high = self.schema["minimum"], self.schema["maximum"]
            if not _WHOLE.fullmatch(text) or not low <= int(text) <= high:
                raise ParameterError(f"{self.name} is {text[:40]!r}; give a number from {low} to {high}")
            return int(text)
        if (choices := self.schema.get("enum")) is not None and text not in choices:
            raise ParameterError(f"{self.name} is {text[:40]!r}; give one of {', '.join(choices)}")
        if (pattern := self.schema.get("pattern")) is not None and not re.fullmatch(pattern, text):
            raise ParameterError(f"{self.name} is {text[:40]!r}, which no answer gave")
        if len(text) > self.schema.get("maxLength", len(text)):
            raise ParameterError(f"{self.name} has {len(text)} characters; give at most {self.schema['maxLength']}")
        return text

    def document(self) -> dict[str, Any]:
        """As OpenAPI has it."""
        schema = _INSTANT if self.schema.get("format") == "instant" else dict(self.schema)
        return {
            "name": self.name,
            "in": "query",
            "description": self.says,
            "required": self.required,
            "schema": schema,
        }


_INSTANT = {
    "anyOf": [{"type": "integer", "minimum": -LATEST, "maximum": LATEST}, {"type": "string", "format": "date-time"}]
}


def _instant(name: str, text: str) -> int:
    """Epoch seconds of epoch seconds or of ISO 8601, UTC unless it says otherwise."""
    try:
        if _WHOLE.fullmatch(text):
            if abs(int(text)) > LATEST:
                raise ValueError
            return int(text)
        at = datetime.fromisoformat(text.upper())
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        hint = "give epoch seconds or a time such as 2026-07-25T17:20:00Z"
        raise ParameterError(f"{name} is {text[:40]!r}; {hint}") from None


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that can be asked for.

    Attributes:
        name: Of the operation and of the handler that does it.
        path: Below `PREFIX`.
        says: What it does, in a line.
        answer: Name of the schema of what is answered with 200.
        parameters: Of its query.
        missing: Whether it answers 404 where what it names is not there.
        body: Name of the schema of its body; it is asked for by POST then, and changes something.
    """

    name: str
    path: str
    says: str
    answer: str
    parameters: tuple[Parameter, ...] = ()
    missing: bool = False
    body: str | None = None
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def method(self) -> str:
        """`GET`, or `POST` where it changes something."""
        return "POST" if self.body else "GET"

    def read(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Values of the parameters, None where one is not given and has no default. Raises ParameterError."""
        values: dict[str, Any] = {}
        for each in self.parameters:
            if (text := query.get(each.name)) is not None:
                values[each.name] = each.read(text)
            elif each.required:
                raise ParameterError(f"{each.name} is missing: {each.says[:1].lower()}{each.says[1:]}")
            else:
                values[each.name] = each.schema.get("default")
        return values

    def document(self) -> dict[str, Any]:
        """As OpenAPI has it."""
        answers = {"200": _json("What was asked for.", self.answer), "400": _json("A parameter cannot be used.", ERROR)}
        answers["400"]["content"] |= _PLAIN  # of what is no request at all
        if self.body:
            answers |= {status: _json(text, ERROR) for status, text in _REFUSED.items()}
        if self.missing:
            answers["404"] = _json("What it names is not there.", ERROR)
        for status, text in _GUARD.items():
            said = answers.setdefault(status, {"description": text, "content": {}})
            said["content"] = said["content"] | _PLAIN
        return {
            "operationId": self.name,
            "summary": self.says,
            "parameters": [each.document() for each in self.parameters] + _in_path(self.path),
            "responses": answers,
        } | self._body()

    def _body(self) -> dict[str, Any]:
        if self.body is None:
            return {}
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{self.body}"}}}
        token = {"name": "X-Tidegauge-Token", "in": "header", "required": True, "schema": {"type": "string"}}
        return {"requestBody": {"required": True, "content": content}, "parameters": [token]}


_REFUSED = {
    "403": "The token is not the one, or there is none.",
    "409": "It cannot be done, and nothing was.",
    "413": "The body is too long.",
    "415": "The body is no JSON.",
    "503": "The daemon is busy and does it next.",
}
_PLAIN = {"text/plain": {"schema": {"type": "string"}}}
_GUARD = {
    "401": "A user and a password are needed.",
    "403": "A page of another site asks.",
    "421": "The Host is none of this server's.",
    "503": "It cannot be said now: the store cannot be read, or the server is busy.",
}


def _json(text: str, schema: str) -> dict[str, Any]:
    return {
        "description": text,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


def _in_path(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[0-9a-f]{16}$"}}
        for name in re.findall(r"\{(\w+)", path)
    ]


def _text(name: str, says: str, most: int = 256, **more: Any) -> Parameter:
    return Parameter(name, says, {"type": "string", "maxLength": most} | more)


def _limit(most: int = 1000) -> Parameter:
    return Parameter("limit", "At most so many.", {"type": "integer", "minimum": 1, "maximum": most, "default": 100})


def _at(name: str, says: str) -> Parameter:
    return Parameter(name, says, {"format": "instant"})


STATES = ("anomalous", "silent", "ready", "queued", "warming")
REASON_LIST = ("model", "novelty", "limit", "flatline", "gap", "drift", "counter", "replaced")
_STREAM = _text("stream", "Of this stream only.", 64)
_CURSOR = _text("cursor", "`next` of the answer before: go on from there.", 3000, pattern="^[A-Za-z0-9_-]*$")
_ONE = (
    Parameter("stream", "Its stream.", {"type": "string", "maxLength": 64}, required=True),
    Parameter("series", "Its name.", {"type": "string", "maxLength": 256}, required=True),
)

READING = (
    Operation("status", "/status", "How the daemon is doing: everything but series and events.", "Status"),
    Operation("streams", "/streams", "All streams: state, counts, budget and measured rate, model.", "Streams"),
    Operation(
        "series",
        "/series",
        "Series, greatest score first or by name; searched and filtered.",
        "SeriesList",
        (
            _STREAM,
            _text("q", "Whose name has this in it, in any case; with `*` the whole name is meant."),
            Parameter("state", "In this state only.", {"type": "string", "enum": list(STATES)}),
            Parameter("reason", "With something open for this reason.", {"type": "string", "enum": list(REASON_LIST)}),
            Parameter("order", "By what.", {"type": "string", "enum": ["score", "name"], "default": "score"}),
            _limit(),
            _CURSOR,
        ),
        missing=True,
    ),
    Operation(
        "course",
        "/series/course",
        "One series in a range: readings, expected band, score and threshold, with events, labels and promotions.",
        "Course",
        (
            *_ONE,
            _at("since", "From here; by default two days before `until`."),
            _at("until", "Up to here, exclusive; by default the end of the newest reading."),
        ),
        missing=True,
    ),
    Operation(
        "events",
        "/events",
        "Events as they are now, the newest first.",
        "Events",
        (
            _STREAM,
            _text("series", "Of this series only."),
            Parameter("reason", "With this among its reasons.", {"type": "string", "enum": list(REASON_LIST)}),
            Parameter("state", "In this state.", {"type": "string", "enum": ["open", "closed"]}),
            _at("since", "That went on at or after this instant."),
            _at("until", "That began before this instant."),
            _limit(),
            Parameter("before", "`next` of the answer before.", {"type": "integer", "minimum": 1, "maximum": LATEST}),
        ),
    ),
    Operation(
        "event",
        "/events/{id}",
        "One event with its revisions and similar ones of the past.",
        "EventDetail",
        missing=True,
    ),
    Operation(
        "labels",
        "/labels",
        "Labels that operators gave, the newest first.",
        "Labels",
        (_STREAM, _text("series", "Of this series only."), _limit()),
    ),
    Operation(
        "models",
        "/models",
        "Versions of models with the gate's numbers, the newest first.",
        "Models",
        (_STREAM, _limit()),
    ),
    Operation(
        "maintenance",
        "/maintenance",
        "Maintenance windows: those of the configuration, and those that were added.",
        "Windows",
        (_STREAM,),
        missing=True,
    ),
    Operation("what_if", "/what-if", "The newest what-if that was asked for, and what came of it.", "WhatIf"),
    Operation("sources", "/sources", "Sources: whether they are up, how far behind, what was refused.", "Sources"),
    Operation("openapi", "/openapi.json", "This document.", "Document"),
)
"""What is asked for by GET."""

WRITING = (
    Operation(
        "give_label", "/labels", "Label a period; one of the same beginning takes the place.", "Given", body="LabelBody"
    ),
    Operation(
        "take_back_label",
        "/labels/undo",
        "Take back the label of a series that begins at an instant; it is listed as `none` from then on.",
        "Given",
        body="UnlabelBody",
    ),
    Operation(
        "add_window",
        "/maintenance",
        "Add a maintenance window to a stream, or to all.",
        "Windows",
        body="WindowBody",
    ),
    Operation(
        "end_window",
        "/maintenance/end",
        "End a maintenance window that was added, or take it away before it begins.",
        "Windows",
        body="EndBody",
    ),
    Operation(
        "ask_what_if",
        "/what-if",
        "Begin to repeat the past under another budget, one at a time; GET shows what came of it.",
        "WhatIf",
        body="WhatIfBody",
    ),
    Operation(
        "serve_model", "/models/serve", "Put a version into service, or the one before.", "Served", body="ServeBody"
    ),
)
"""What is asked for by POST, with the token."""


def document(operations: tuple[Operation, ...], version: str) -> dict[str, Any]:
    """The document of all operations, as OpenAPI 3.1 has it."""
    paths: dict[str, Any] = {}
    for each in operations:
        paths.setdefault(PREFIX + re.sub(r":[^}]*", "", each.path), {})[each.method.lower()] = each.document()
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tidegauge", "version": version, "description": _SAYS},
        "paths": paths,
        "components": {"schemas": SCHEMAS},
    }


_SAYS = (
    "What a Tidegauge daemon knows of its series. All instants are epoch seconds, UTC. Numbers not known are null. "
    "Bodies that sources take (`/api/v1/readings`, `/api/v1/write`) have formats of their own: docs/sources.md."
)
