"""Hooks of mkdocs: the README is the first page, and links that lead out of docs/ are plain text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)")
_IMAGE = re.compile(r"(!\[[^\]]*\]\()docs/")


def on_files(files: Files, *, config: Any) -> Files:
    """Add the README as the index, its links as seen from docs/."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    text = _IMAGE.sub(r"\1", text)
    text = _LINK.sub(lambda found: f"[{found[1]}]({_from_docs(found[2])})", text)
    files.append(File.generated(config, "index.md", content=text))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Leave the text of links to files of the checkout, which the site has not."""
    return _LINK.sub(lambda found: found[1] if found[2].startswith("../") else found[0], markdown)


def _from_docs(target: str) -> str:
    if target.startswith(("http", "#")):
        return target
    return target.removeprefix("docs/") if target.startswith("docs/") else f"../{target}"
