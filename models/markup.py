"""Pages, reports and drawings from templates: Jinja2 that escapes all that is put in and refuses what is not there.

A template lies in `templates/` beside the module that fills it, and ships in the wheel.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(package: str, template: str, **values: Any) -> str:
    """The text of a template.

    Args:
        package: Where `templates/` lies, as a dotted name.
        template: The file's name in it.
        **values: What the template names; text in it is escaped, but for `markupsafe.Markup`.

    Raises:
        jinja2.UndefinedError: The template names something that is not among `values`.
        jinja2.TemplateNotFound: There is no such file.
    """
    return _environment(package).get_template(template).render(**values)


@cache
def _environment(package: str) -> Environment:
    return Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
