"""Each recorded case raises the events recorded for it; a case that does not says how it differs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.processes import tidegauge
from tests.recorded.make import CASES, HERE, input_of


def test_every_directory_is_a_whole_case() -> None:
    """A case has an input, a configuration, a bundle of tens of kB, recorded events and one line on what it shows."""
    found = sorted(path.parent.name for path in HERE.glob("*/config.yaml"))
    assert found == sorted(CASES)
    for name in found:
        case = HERE / name
        assert input_of(case).is_file()
        assert 0 < (case / "bundle.pt").stat().st_size < 200_000
        assert (case / "expected.jsonl").read_text().endswith("\n")
        assert (case / "ABOUT.md").read_text().strip().count("\n") == 0


@pytest.mark.parametrize("name", CASES)
def test_case(name: str) -> None:
    """`tidegauge replay INPUT --config CONFIG --expect EXPECTED` finds the recorded events."""
    case = HERE / name
    done = tidegauge(
        "replay", input_of(case), "--config", case / "config.yaml", "--expect", case / "expected.jsonl", cwd=case
    )
    revisions = len((case / "expected.jsonl").read_text().splitlines())
    assert f"all {revisions} recorded revisions came again" in done.stderr


def test_a_difference_is_readable(tmp_path: Path) -> None:
    """Exit 1 and a line for each difference: `-` was recorded only, `+` came only, `~` says what changed."""
    case = HERE / "spike_and_level_shift"
    events = [json.loads(line) for line in (case / "expected.jsonl").read_text().splitlines()]
    changed, *kept, dropped = events
    added = dropped | {"id": "0" * 16}
    changed = changed | {"score": changed["score"] * 1.01, "reasons": ["flatline"]}
    expected = tmp_path / "expected.jsonl"
    expected.write_text("".join(json.dumps(event) + "\n" for event in [changed, *kept, added]))
    done = tidegauge(
        "replay", input_of(case), "--config", case / "config.yaml", "--expect", expected, cwd=tmp_path, status=1
    )
    lines = done.stderr.splitlines()
    assert sum(line.startswith("~ 2026-02-22T09:00Z meters/input") for line in lines) == 2
    assert any("reasons is" in line and "recorded was ('flatline',)" in line for line in lines)
    assert any("score is" in line for line in lines)
    assert sum(line.startswith("- ") for line in lines) == 1
    assert sum(line.startswith("+ ") for line in lines) == 1
    assert lines[-1] == "tidegauge: the events are not the recorded ones (- missing, + new, ~ changed)"


def test_exact_sees_the_last_bit(tmp_path: Path) -> None:
    """A number within 1e-4 of what this machine recorded passes, and with `--exact` it does not."""
    case, expected = HERE / "stuck_sensor", tmp_path / "expected.jsonl"
    # of another machine the last bits of every number may be others
    tidegauge("replay", input_of(case), "--config", case / "config.yaml", "--record", expected, cwd=tmp_path)
    first, *others = [json.loads(line) for line in expected.read_text().splitlines()]
    near = first | {"threshold": first["threshold"] + 1e-6}
    expected.write_text("".join(json.dumps(event) + "\n" for event in [near, *others]))
    arguments = ("replay", input_of(case), "--config", case / "config.yaml", "--expect", expected)
    tidegauge(*arguments, cwd=tmp_path)
    done = tidegauge(*arguments, "--exact", cwd=tmp_path, status=1)
    revisions = len(others) + 1
    assert f"only digits differ, in 1 of {revisions} revisions, by at most " in done.stderr
    assert done.stderr.splitlines()[-2].endswith(": threshold")
