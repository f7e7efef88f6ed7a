"""What every page beside the overview is filled with."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from daemon.metrics.collector import version
from daemon.web.page_assets import ICON, STYLE
from models.markup import render


def filled(template: str, **values: Any) -> str:
    """A page of `templates/`, in the layout that all share."""
    return render("daemon.web", template, icon=Markup(ICON), style=Markup(STYLE), version=version(), **values)
