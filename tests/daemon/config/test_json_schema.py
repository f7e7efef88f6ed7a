"""The JSON Schema of the configuration: what an editor is told is what the daemon takes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from daemon.config import sample
from daemon.config.json_schema import json_schema
from daemon.config.schema import keys
from tests.e2e.processes import tidegauge

VALIDATOR = Draft202012Validator(json_schema())


def faults(text: str) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(yaml.safe_load(text))]


def test_it_is_a_schema_and_takes_the_sample() -> None:
    """The sample is valid as it stands, and with every optional key at its default."""
    Draft202012Validator.check_schema(json_schema())
    shown = sample.sample()
    assert faults(shown) == []
    assert faults(re.sub(r"^( *)# (\w+: )", r"\1\2", shown, flags=re.MULTILINE)) == []


def test_every_key_has_its_meaning() -> None:
    """What an editor shows at a key is what docs/configuration.md says of it."""
    said = {each["description"] for d in json_schema()["$defs"].values() for each in d["properties"].values()}
    said |= {each["description"] for each in json_schema()["properties"].values()}
    assert {key.meaning for key in keys()} <= said


@pytest.mark.parametrize(
    "text",
    [
        "streams: {a: {}}",
        "version: 2\nstreams: {a: {}}",
        "version: 1\nstreams: {a: {intervall: 1h}}",
        "version: 1\nstreams: {a: {interval: 30}}",
        "version: 1\nstreams: {a: {interval: 30 minutes}}",
        "version: 1\nstreams: {a: {sources: [{type: ftp}]}}",
        "version: 1\nstreams: {a: {gap_after: 0}}",
        "version: 1\nstreams: {a: {}}\nevents: {webhook: [{send: some}]}",
    ],
)
def test_a_mistake_is_one_in_the_editor_too(text: str) -> None:
    """Unknown keys, wrong types and units, values out of range."""
    assert faults(text)


def test_the_command_prints_it(tmp_path: Path) -> None:
    """`tidegauge schema` gives the same, as JSON."""
    assert json.loads(tidegauge("schema", cwd=tmp_path).stdout) == json_schema()
