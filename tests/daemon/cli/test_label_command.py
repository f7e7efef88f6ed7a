"""`tidegauge label`: by event and by period, with and without a daemon; a kill -9 takes nothing back."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.offline.histories import of_journal
from tests.daemon.cli.test_model_commands import ROWS, lines
from tests.e2e.processes import Daemon, commanded, json_of, tide, tidegauge, until

CONFIGURATION = tide(masked=2, retrain_every=50, gate={"enabled": False}) | {"log": {"format": "plain"}}
SURGE = range(300, 310)
"""Rows that are upside down, within the range."""


def with_surge() -> str:
    """Readings of a tide with one anomaly."""
    rows = lines(0, ROWS).splitlines()
    for row in SURGE:
        stamp, value = rows[row].split(",")
        rows[row] = f"{stamp},{10 - float(value):.4f}"
    return "".join(f"{row}\n" for row in rows)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration, and readings of which one event comes."""
    (tmp_path / "tidegauge.yaml").write_text(yaml.safe_dump(CONFIGURATION))
    (tmp_path / "tide.csv").write_text("timestamp,value\n" + with_surge())
    return tmp_path / "tidegauge.yaml"


@pytest.fixture
def daemon(config: Path) -> Iterator[Daemon]:
    """It runs, and has read everything."""
    with commanded(config, ROWS) as started:
        yield started


def label(config: Path, *words: str) -> Any:
    """What `tidegauge label` says as JSON."""
    return json_of("label", *words, "--config", config, cwd=config.parent)


def refused(config: Path, *words: str, status: int = 1) -> str:
    """Why it does not."""
    return tidegauge("label", *words, "--config", config, cwd=config.parent, status=status).stderr


def test_labels_while_the_daemon_runs_and_after_a_kill(daemon: Daemon, config: Path) -> None:
    """A fault by event with rollback, corrected; a missed one by period; errors and kill -9 change nothing."""
    events = json_of("events", "list", "--config", config, cwd=config.parent)
    (event,) = [each for each in events if each["reasons"] == ["model"]]
    listed = tidegauge("events", "list", "--config", config, cwd=config.parent).stdout
    assert f"{event['id'][:8]}  2026-01-1" in listed
    said, back = label(config, "fault", event["id"][:8], "--roll-back", "--note", "a ship")
    assert (said["series"], said["since"], said["kind"]) == (event["series"], event["started_at"], "fault")
    assert said["threshold"] == said["threshold_before"] == pytest.approx(event["threshold"])
    models = json_of("models", "list", "--config", config, cwd=config.parent)
    (serving,) = [each for each in models if each["serving"]]
    assert serving["version"] == back["version"]
    assert serving["manifest"]["trained_to"] < event["started_at"]
    assert "labelled fault for this period already" in refused(config, "fault", event["id"])
    (said,) = label(config, "normal", event["id"])
    assert said["threshold"] == pytest.approx(said["threshold_before"] + 0.301, abs=1e-3)
    quiet = ("--series", event["series"], "--from", "2026-01-08", "--to", "2026-01-08T06:00Z")
    (missed,) = label(config, "fault", *quiet)
    assert missed["until"] - missed["since"] == 5 * 3600
    assert missed["threshold"] == pytest.approx(said["threshold_before"])
    assert "there is no event 'zz'" in refused(config, "fault", "zz")
    assert "there is no series 'nobody'" in refused(config, "normal", "--series", "nobody", "--from", "2026-01-08")
    counted = {'{kind="fault",stream="tide"}': 2, '{kind="normal",stream="tide"}': 1}
    until("their counts", lambda: daemon.metric("tidegauge_labels_total") == counted)
    assert "a note is one line" in refused(config, "fault", *quiet, "--note", "two\nlines")
    assert "before 1970" in refused(config, "fault", "--series", event["series"], "--from", "1969-01-01")
    hasty = ("--series", event["series"], "--from", "2026-01-07")
    (given,) = label(config, "fault", *hasty, "--to", "2026-01-07T06:00Z")
    assert "is not labelled normal from" in refused(config, "normal", *hasty, "--undo")
    (undone,) = label(config, "fault", *hasty, "--undo", "--note", "wrong meter")
    assert (undone["kind"], undone["since"], undone["until"]) == ("none", given["since"], given["until"])
    assert undone["threshold"] == given["threshold_before"]
    assert "is not labelled fault from" in refused(config, "fault", *hasty, "--undo")
    assert "neither --roll-back nor --to" in refused(config, "fault", *hasty, "--undo", "--roll-back", status=2)
    late = ("--series", event["series"], "--from", "2030-01-01", "--to", "2030-01-02")
    assert "has no reading from that period on yet" in refused(config, "fault", *late)
    daemon.end(signal.SIGKILL)
    with Daemon(config) as again:
        again.loaded()
        key = f'{{series="{event["series"]}",stream="tide"}}'
        threshold = until("its threshold", lambda: again.metric("tidegauge_threshold").get(key))
        assert threshold == pytest.approx(missed["threshold"])
        assert again.end() == 0
    assert [each["kind"] for each in label(config, "list")] == ["fault", "normal", "fault", "fault", "none"]
    (stopped,) = label(config, "normal", *quiet)
    assert stopped["threshold"] > missed["threshold"]
    label(config, "fault", event["id"])
    (history,), _ = of_journal(config.parent / "state", None, None, lambda done, total: None)
    gaps = history.at[~history.observed]
    assert (gaps.min(), gaps.max()) == (event["started_at"], event["ended_at"]), "offline, only the fault is a gap"
    assert "a ship" in tidegauge("label", "list", "--config", config, cwd=config.parent).stdout


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "what? name events by their ids, or a period"),
        (("abc", "--series", "x"), "not both"),
        (("--series", "x"), "what? name events by their ids, or a period"),
        (("--series", "x", "--from", "2026-01-02", "--to", "2026-01-01"), "is not after --from"),
        (("--series", "x", "--from", "soon"), "'soon' is no instant"),
    ],
)
def test_what_makes_no_sense_is_refused(config: Path, words: tuple[str, ...], why: str) -> None:
    """Before anything is opened, with exit status 2."""
    assert why in refused(config, "fault", *words, status=2)
    assert not (config.parent / "state").exists()


def test_without_state_there_is_nothing_to_label(config: Path) -> None:
    """One line, and no state is made."""
    assert "there is no state here" in refused(config, "list")
    assert "there is no state here" in refused(config, "fault", "--series", "x", "--from", "2026-01-02")
    assert not (config.parent / "state").exists()
