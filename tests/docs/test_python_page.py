"""What docs/python.md shows of Tidegauge in Python is what comes out, block after block in one process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from daemon import api
from tests.conftest import ROOT
from tests.e2e.processes import TIDEGAUGE

PAGE = ROOT / "docs/python.md"
BLOCK = re.compile(r"^```python\n(.*?)^```\n\n^```text\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
MARK = "-- end of a block --"


def test_the_blocks_print_what_is_shown(tmp_path: Path) -> None:
    """Every block of code is followed by what it prints, and prints that, in the order of the page."""
    text = PAGE.read_text(encoding="utf-8")
    blocks = BLOCK.findall(text)
    assert len(blocks) == text.count("```python\n") > 5
    program = "".join(f"{code}print({MARK!r}, flush=True)\n" for code, _ in blocks)
    environment = os.environ | {"PATH": f"{TIDEGAUGE.parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    printed = done.stdout.split(f"{MARK}\n")[:-1]
    assert [each.strip() for each in printed] == [shown.strip() for _, shown in blocks]


def test_every_public_name_is_on_the_page() -> None:
    """What `daemon.api` gives is shown or named there."""
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in api.__all__ if f"{name}(" not in text and f"`{name}`" not in text] == [
        "Replayed",
        "TrainedScorer",
    ]
