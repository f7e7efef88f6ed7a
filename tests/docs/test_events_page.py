"""What docs/events.md shows of events as tables is what comes out."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.daemon.cli.small_inputs import configuration, readings
from tests.e2e.processes import tidegauge

SHOWN = re.compile(r"^```python\n(.*?)^```\n.*?^```text\n(.*?)^```\n", re.MULTILINE | re.DOTALL)


def test_the_snippets_print_what_is_shown(tmp_path: Path) -> None:
    """Each snippet of the page, run beside a state directory and the file of `events list --csv`, prints its text."""
    config, file = configuration(tmp_path), readings(tmp_path / "tide.csv")
    tidegauge("replay", file, "--config", config, "--state", "state", cwd=tmp_path)
    tidegauge("events", "list", "--config", config, "--csv", "events.csv", cwd=tmp_path)
    shown = SHOWN.findall((ROOT / "docs" / "events.md").read_text(encoding="utf-8"))
    assert len(shown) == 2
    for code, text in shown:
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
        assert (done.stderr, lines(done.stdout)) == ("", lines(text))


def lines(text: str) -> list[str]:
    """Lines without blanks at their ends."""
    return [line.rstrip() for line in text.splitlines()]
