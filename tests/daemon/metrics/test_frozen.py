"""Pictures that nobody can change, whatever becomes of what they were made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import orjson
import pytest

from adapters.uploads.inbox import Inboxes
from daemon.config.settings import Settings
from daemon.metrics.collector import Durations
from daemon.metrics.frozen import frozen
from daemon.metrics.snapshot import snapshots
from daemon.service.picture import picture_of
from daemon.service.source_set import SourceSet
from daemon.web.answers import json_response
from tests.daemon.engine.small_engines import config, engine, feed, noise
from tests.daemon.web.pictures import picture


def inside(value: object) -> Iterator[object]:
    """`value` and all that it holds."""
    yield value
    if is_dataclass(value):
        parts = [getattr(value, field.name) for field in fields(value)]
    elif isinstance(value, Mapping):
        parts = list(value.values())
    else:
        parts = list(value) if isinstance(value, (list, tuple)) else []
    for part in parts:
        yield from inside(part)


def open_to_change(value: object) -> list[object]:
    """What in `value` somebody could change."""
    return [
        part
        for part in inside(value)
        if isinstance(part, (dict, list, set, bytearray, Durations))
        or (isinstance(part, np.ndarray) and part.flags.writeable)
    ]


def test_what_could_be_changed_is_found() -> None:
    """A dict, a list or an array that can be written to is found, however deep it lies."""
    assert [type(part) for part in open_to_change(({"a": (np.zeros(1), "text")},))] == [dict, np.ndarray]
    assert open_to_change(frozen({"a": [np.zeros(1), {"b": 1}], "c": "text"})) == []


def test_frozen_is_a_copy_of_what_was_there() -> None:
    """Later changes of the parts do not show, and the parts themselves stay open to whoever made them."""
    inner, numbers = {"b": 1}, np.zeros(2)
    found = frozen({"a": inner, "n": numbers})
    inner["b"] = 2
    numbers[0] = 1
    assert found["a"] == {"b": 1}
    with pytest.raises(ValueError, match="read-only"):
        found["n"][0] = 5
    with pytest.raises(TypeError):
        found["a"]["b"] = 3


def test_a_snapshot_stays_as_it_was() -> None:
    """Whatever the engine takes in afterwards, a snapshot of it has the numbers of its instant, and is closed."""
    made = engine()
    feed(made, noise(range(40)))
    before, again = (snapshots(made, (), lambda stream: None) for _ in range(2))
    feed(made, noise(range(40, 80)))
    after = snapshots(made, (), lambda stream: None)
    assert _text(before) == _text(again)
    assert _text(before) != _text(after)
    assert [part for stream in before.values() for part in open_to_change(stream)] == []


def test_the_daemons_picture_stays_as_it_was() -> None:
    """What is counted afterwards by schedule and histograms is in the next picture, not in this one."""
    settings = Settings.model_validate(config())
    durations, skipped = Durations(), {"tick": 0}
    durations.observe("journal", 0.02)
    shown = picture_of(None, SourceSet(settings, Inboxes()), settings, durations, {"skipped": skipped})
    durations.observe("journal", 0.02)
    skipped["tick"] = skipped["new"] = 1
    assert shown.durations["journal"][""][0][-1] == 1
    assert shown.process == {"skipped": {"tick": 0}}
    assert open_to_change(shown) == []
    assert open_to_change(replace(shown, process={"skipped": skipped})) == []


def test_every_part_of_a_picture_is_json() -> None:
    """Closed mappings are written as the objects they are, not as text."""
    body = json_response({"model": next(iter(picture().streams.values())).model, "process": picture().process}).body
    assert isinstance(body, bytes)
    found: dict[str, Any] = orjson.loads(body)
    assert found["model"]["version"] == 4
    assert found["process"]["skipped"] == {"checkpoint": 0, "tick": 0}


def _text(streams: Mapping[str, Any]) -> str:
    columns = [[getattr(s.series, field.name) for field in fields(s.series)] for s in streams.values()]
    return repr((columns, [(s.accepted, s.rejected) for s in streams.values()]))
