"""All mutants: those that survived once, the store's, and others."""

from __future__ import annotations

from tests.mutants.edges import EDGES
from tests.mutants.mutant import Mutant
from tests.mutants.store import STORE
from tests.mutants.survivors import SURVIVORS

MUTANTS: tuple[Mutant, ...] = (
    *SURVIVORS,
    *STORE,
    *EDGES,
)
