"""Whether the top-level names `daemon`, `models` and `adapters` are Tidegauge's own in this environment."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata

NAMES = ("adapters", "daemon", "models")


def foreign_owners(owners: Mapping[str, list[str]] | None = None) -> list[str]:
    """One line for each other distribution that installs a package of one of our names; [] when all is well.

    Two distributions with the same top-level package overwrite each other's files, so neither can be trusted.

    Args:
        owners: Distributions by top-level name; None: those of the running interpreter.
    """
    owners = metadata.packages_distributions() if owners is None else owners
    return [
        f"{name}: the distribution {owner} installs a package of this name too; "
        "install Tidegauge into an environment of its own (pipx install tidegauge)"
        for name in NAMES
        for owner in sorted(set(owners.get(name, ())))
        if owner.lower() != "tidegauge"
    ]
