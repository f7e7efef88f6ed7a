"""Templates: what is put in is escaped, what is missing is refused, and all of them ship."""

from __future__ import annotations

import tomllib
from pathlib import Path

import jinja2
import pytest
from markupsafe import Markup

from models.markup import render
from models.report.figures import Report, ReportSection, Table
from models.report.report_page import page

ROOT = Path(__file__).parents[2]
HOSTILE = "</script><script>alert(1)</script>\"'<&"


def test_text_of_a_report_is_never_markup() -> None:
    """Titles, summaries, notes, columns and cells of a report come out as text."""
    table = Table(HOSTILE, (HOSTILE,), [[HOSTILE]], note=HOSTILE)
    made = page(Report(HOSTILE, [HOSTILE], [ReportSection(HOSTILE, [table], HOSTILE)], {}))
    assert "<script>alert" not in made
    assert made.count("&lt;script&gt;alert(1)") >= 7


def test_what_a_template_lacks_is_refused() -> None:
    """A name that no value was given for is an error and no empty place; so is a template that is not there."""
    with pytest.raises(jinja2.UndefinedError):
        render("models.report", "report.html", style=Markup(""), plotly=Markup(""), sections=[])
    with pytest.raises(jinja2.TemplateNotFound):
        render("models.report", "other.html")


def test_every_template_ships() -> None:
    """Each directory of templates is among the wheel's data, and no page is put together elsewhere; drawings may be."""
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    shipped = {package for package, globs in data.items() if "templates/*" in globs}
    there = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for top in ("daemon", "models", "adapters")
        for path in (ROOT / top).rglob("templates")
    }
    assert there == shipped
    code = [path for top in ("daemon", "models", "adapters") for path in (ROOT / top).rglob("*.py")]
    drawn = (
        "page_assets.py",
        "chart.py",
        "day_chart.py",
    )  # a script and styles, and an SVG of escaped texts and numbers
    assert [path for path in code if "</" in path.read_text(encoding="utf-8") and path.name not in drawn] == []
