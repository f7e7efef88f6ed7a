"""Typical mistakes: each is one line that says where, what is there and what to do, before any work is done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from daemon.cli.main import app
from tests.daemon.cli.small_inputs import configuration, readings

DURATION = 'is "30", not a duration; write a number and a unit of s, m, h, d or w, such as 30m or 14d'


def tidegauge(*words: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture(autouse=True)
def _directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory has a file of readings and a configuration for it."""
    readings(tmp_path / "tide.csv", stop=30)
    configuration(tmp_path, name="tide.yaml")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("replay tide.csv --interval 30", f"command line: interval {DURATION}"),
        ("replay tide.csv --interval 30 --config tide.yaml", f"command line: streams.tide.interval {DURATION}"),
        ("replay tide.csv --seed -1", "command line: seed is -1, below the least allowed, 0; set 0 or more"),
        ("train autoencoder tide.csv --interval 30", f"command line: interval {DURATION}"),
        (
            "describe tide.csv --timezone Here",
            'command line: timezone is "Here", not a known time zone; use an IANA name such as Europe/Berlin',
        ),
        ("replay tide.csv --exact", "tidegauge: --exact goes with --expect, the events to hold these against"),
        (
            "replay tide.csv --journal state --labels x.json",
            "tidegauge: --journal goes without --labels, FILE; give one or the other",
        ),
        (
            "replay tide.csv --to file:x --record y",
            "tidegauge: --to goes without --record; give one or the other",
        ),
    ],
)
def test_wrong_options(command: str, line: str) -> None:
    """Options that cannot be read or cannot be together are 2, whether a configuration is named or not."""
    code, out, error = tidegauge(*command.split())
    assert (code, out, error.splitlines()[-1]) == (2, "", line)


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("replay .", "tidegauge: .: Is a directory"),
        ("describe .", "tidegauge: .: Is a directory"),
        (
            "replay tide.csv --time when",
            "tidegauge: tide.csv: no line is a reading, rejected: 31 preamble; line 1 'timestamp,gauge,value': "
            "preamble, no line has the columns when, value; the likeliest header is 'timestamp,gauge,value'; set "
            "format.time and format.value, or name its columns with --time, --value and --series",
        ),
        (
            "describe tide.csv --value level",
            "tidegauge: tide.csv: no line is a reading, rejected: 31 preamble; line 1 'timestamp,gauge,value': "
            "preamble, no line has the columns timestamp, level; the likeliest header is 'timestamp,gauge,value'; "
            "set format.time and format.value, or name its columns with --time, --value and --series",
        ),
        (
            "replay tide.csv --record nowhere/events.jsonl",
            "tidegauge: nowhere/events.jsonl: there is no directory nowhere; make it, or write elsewhere",
        ),
        ("replay tide.csv --expect nothing.jsonl", "tidegauge: nothing.jsonl: No such file or directory"),
    ],
)
def test_wrong_files(command: str, line: str) -> None:
    """A file that is not what the command needs is 1, found before the replay rather than after."""
    code, out, error = tidegauge(*command.split())
    assert (code, out, error.splitlines()[-1]) == (1, "", line)


def test_check_refuses_what_run_refuses(tmp_path: Path) -> None:
    """A stream without a source is told of by `check`, not first by `run`."""
    Path("bare.yaml").write_text("version: 1\nstreams:\n  tide:\n    sources: []\n")
    code, out, error = tidegauge("check", "--config", "bare.yaml")
    assert (code, out) == (78, "")
    assert error == "bare.yaml:4: streams.tide.sources is empty, so nothing would be read; add a source\n"


def test_one_is_singular_and_json_is_one_object() -> None:
    """A replay's last line counts in words; `--json` prints an object, also with `--to` and `--digest`."""
    Path("labels.json").write_text(json.dumps({"tide.csv": [["2026-03-02 00:00:00", "2026-03-02 03:00:00"]]}))
    code, out, _ = tidegauge("replay", "tide.csv", "--config", "tide.yaml", "--labels", "labels.json")
    assert code == 0
    assert out.splitlines()[-1] == "0 of 1 labelled window found, 0 false episodes"
    code, out, _ = tidegauge("replay", "tide.csv", "--to", "file:copy.csv", "--speed", "1e9x", "--json")
    assert (code, out) == (2, "")
    code, out, _ = tidegauge("replay", "tide.csv", "--to", "file:copy.csv", "--speed", "99999999x", "--json")
    assert (code, json.loads(out)) == (0, {"lines": 31, "to": "file:copy.csv"})
    assert tidegauge("replay", "tide.csv", "--config", "tide.yaml", "--state", "state")[0] == 0
    code, out, _ = tidegauge("status", "--config", "tide.yaml", "--digest", "--json")
    assert (code, list(json.loads(out))) == (0, ["state_sha256"])


def test_a_state_without_models(tmp_path: Path) -> None:
    """`models list` says that there is nothing to list."""
    assert tidegauge("replay", "tide.csv", "--config", "tide.yaml", "--state", "state")[0] == 0
    assert tidegauge("models", "list", "--state", "state") == (0, "", "no models and no trainings\n")
