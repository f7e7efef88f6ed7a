"""Errors of this package that others catch; apart, so that catching one does not import torch."""

from __future__ import annotations


class BundleError(ValueError):
    """A bundle that must not serve; the message says why, in one printable line whatever the file holds."""

    def __init__(self, why: str) -> None:
        super().__init__("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in why))


class OwnModelError(BundleError):
    """An own model that the configuration does not let run; nothing of it was run, and the state is as it was."""
