"""Names that no text can hold, brought to commands: what comes out is printable UTF-8, and never a traceback."""

from __future__ import annotations

import os
import re
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner, Result

from adapters.text import series_of
from daemon.cli.main import app
from tests.daemon.cli.small_inputs import readings

STREAM = """
version: 1
state_dir: state
streams:
  tide:
    interval: 1h
    clock: event
    warm_up: 4d
    model: {window: 8, copies: 1, masked: 2, retrain_every: 0}
    alerts: {limits: {max: 100}}
"""
NAMES = [b"z\xe4hler", b"a\nb", b"e\x1b[31mx", "bidi\u202eabc".encode(), "line\u2028x".encode(), b"x" * 251]
HOSTILE = ["z\udce4hler", "\ud800", "a\nb", "\x1b[2J", "\u202eabc", "\u2028", "x" * 5000]


def named(directory: Path, name: bytes) -> Path:
    """A file of readings without a column of series, so that its name stands for one."""
    rows = readings(directory / "rows.csv", stop=220).read_text().replace(",pier,", ",").replace(",gauge,", ",")
    path = directory / os.fsdecode(name + b".csv")
    path.write_text(rows)
    return path


def tidegauge(*words: object) -> Result:
    """A command, which ends with a status and says only what can be shown."""
    done = CliRunner().invoke(app, [*map(str, words)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code in (0, 1, 2, 78), done.output
    done.output.encode()
    said = re.sub("[│┃┏┳┓┡╇┩└┴┘━─]", "", done.output)
    assert said.replace("\n", "").isprintable()
    assert "Traceback" not in said
    return done


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_file_of_any_name_is_read(name: bytes, tmp_path: Path) -> None:
    """Its series has the name that can be shown, in events, tables and JSON, and the state can be read again."""
    file, config = named(tmp_path, name), tmp_path / "tidegauge.yaml"
    config.write_text(STREAM)
    (tmp_path / "state").mkdir(mode=0o700)
    done = tidegauge("replay", file, "--config", config, "--state", tmp_path / "state", "--json")
    report = orjson.loads(done.stdout)
    assert {event["series"] for event in report["events"]} == {series_of(file)}
    assert tidegauge("replay", "--journal", tmp_path / "state").exit_code == 0
    assert tidegauge("events", "list", "--config", config).exit_code == 0
    assert tidegauge("events", "list", "--config", config, "--series", series_of(file)).exit_code == 0
    assert tidegauge("describe", file).exit_code == 0
    assert orjson.loads(tidegauge("describe", file, "--json").stdout)["series"] == {series_of(file): 220}


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:20])
def test_an_argument_of_any_text_is_answered(text: str, tmp_path: Path) -> None:
    """As a file, a series, a stream, a column, a note or a directory: one line and a status."""
    config = tmp_path / "tidegauge.yaml"
    config.write_text(STREAM)
    file = named(tmp_path, b"plain")
    for words in (
        ("replay", text),
        ("replay", file, "--value", text),
        ("replay", file, "--stream", text),
        ("replay", file, "--config", config, "--value", text),
        ("replay", file, "--config", config, "--record", tmp_path / text / "x"),
        ("replay", "--journal", text),
        ("describe", text),
        ("describe", file, "--time", text),
        ("events", "list", "--config", config, "--series", text),
        ("series", "list", "--config", config, "--stream", text),
        ("label", "fault", text, "--config", config),
        ("label", "normal", "--series", text, "--from", "2026-03-01", "--to", "2026-03-02", "--config", config),
        ("models", "show", text),
        ("models", "convert", text, "--out", f"{text}.pt"),
        ("check", "--config", text),
        ("state", "check", "--config", text),
        ("state", "export", text, "--config", config),
        ("init", tmp_path / text / "x.yaml"),
        ("train", "--from", text, "--config", config),
    ):
        if "\0" not in text:
            tidegauge(*words)


def test_a_configuration_in_a_directory_of_no_text(tmp_path: Path) -> None:
    """Paths of a state must be text, so a directory whose name is none is refused in one line."""
    (there := tmp_path / os.fsdecode(b"unter\xe4")).mkdir()
    (there / "tidegauge.yaml").write_text(STREAM)
    done = tidegauge("check", "--config", there / "tidegauge.yaml")
    assert done.exit_code == 78
    assert r"unter\xe4 is not printable UTF-8" in done.output


@pytest.mark.parametrize("text", ["\\uD800", "\\0", "\\e[2J", "\\u202E", "\\u2028", "\\x85"])
def test_a_configuration_with_such_text(text: str, tmp_path: Path) -> None:
    """A value that is not printable is refused with its line, escaped."""
    (config := tmp_path / "tidegauge.yaml").write_text(f'{STREAM}    format: {{value: "a{text}b"}}\n')
    done = tidegauge("check", "--config", config)
    assert done.exit_code == 78
    assert "tidegauge.yaml:" in done.output
