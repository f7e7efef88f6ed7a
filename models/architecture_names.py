"""What architectures are called that are not like the others: a daemon that trains nothing yet knows them, too."""

from __future__ import annotations

ENSEMBLE = "ensemble"
"""Made of the others."""

OWN = "torchscript"
"""A model of the operator's own."""

LABELLED = frozenset({"transformer-classifier"})
"""Those that learn from labels: a daemon serves their bundles but cannot train them."""

UNTUNED = LABELLED | {OWN}
"""Those whose bundles serve as they are."""
