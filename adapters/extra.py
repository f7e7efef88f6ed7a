"""What a plain install leaves out, and how an operator gets it."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import NamedTuple


class Extra(NamedTuple):
    """A package that an adapter imports where it is used.

    Attributes:
        name: Of the extra, as in `tidegauge[NAME]`.
        package: What is imported.
        distribution: What is installed.
    """

    name: str
    package: str
    distribution: str

    def missing(self) -> str | None:
        """What to do about it in words; None where it is installed."""
        if find_spec(self.package) is not None:
            return None
        return (
            f"needs {self.distribution}, which a plain install leaves out; install tidegauge[{self.name}], "
            f"or run: {sys.executable} -m pip install {self.distribution}"
        )
