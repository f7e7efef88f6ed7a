"""A report on disk: one HTML file, and on demand JSON and images beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson

from models.atomic_file import write_atomically
from models.report.figures import Report
from models.report.images import image
from models.report.report_page import page


def write_report(report: Report, directory: Path, stem: str = "report") -> list[Path]:
    """Write `stem.html`, `stem.json` and `stem-FIGURE.png` for each figure; returns their paths.

    Raises:
        OSError: One could not be written; those before it are whole.
    """
    html, data = directory / f"{stem}.html", directory / f"{stem}.json"
    write_atomically(html, [page(report).encode()])
    plainly = orjson.dumps(plain(report.data), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    write_atomically(data, [plainly, b"\n"])
    images = []
    for figure in report.figures():
        images.append(directory / f"{stem}-{figure.key}.png")
        write_atomically(images[-1], [image(figure)])
    return [html, data, *images]


def plain(value: Any) -> Any:
    """JSON types: NaN and infinities are null, numpy's numbers Python's."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    return None if isinstance(value, float) and not np.isfinite(value) else value
