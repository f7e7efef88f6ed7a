"""Errors of this package that others catch; apart, so that catching one does not import torch."""

from __future__ import annotations


class BundleError(ValueError):
    """A bundle that must not serve; the message says why."""
