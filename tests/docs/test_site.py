"""The documentation as a site: it builds without a warning, has every page, and takes nothing from another host."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

_LOADED = re.compile(
    r"<(?:script|img|iframe)[^>]*\ssrc=\"?(?:https?:)?//|<link[^>]*rel=\"?(?:stylesheet|preconnect)\"?[^>]*//"
)


def test_it_builds_without_a_warning(tmp_path: Path) -> None:
    """`mkdocs build --strict` of deploy/site: links lead somewhere, no page is left out, nothing is fetched."""
    config = ROOT / "deploy" / "site" / "mkdocs.yml"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(config), "-d", str(tmp_path / "site")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    pages = {path.parent.name for path in (tmp_path / "site").glob("*/index.html")}
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} <= pages
    for page in (tmp_path / "site").rglob("*.html"):
        assert not _LOADED.search(page.read_text(encoding="utf-8")), page
