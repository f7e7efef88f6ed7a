"""`make mutants`: which planted changes the tests find; exit 1 where one survives that should not, or another way."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.mutants.mutant import Mutant, copy_tree, is_found
from tests.mutants.planted import MUTANTS


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def judge(mutant: Mutant, tree: Path, sound: set[str]) -> bool:
    """Plant one and say what became of it; whether the tests found it, which pass without it (`sound` grows)."""
    if mutant.tests not in sound and is_found(tree, mutant.tests):
        raise SystemExit(f"the tests fail without any change: {mutant.tests}")
    sound.add(mutant.tests)
    began = time.monotonic()
    with mutant.planted(tree):
        found = is_found(tree, mutant.tests)
    took = time.monotonic() - began
    verdict = "found" if found else "SURVIVES" if mutant.survives is None else f"survives: {mutant.survives}"
    say(f"{verdict} ({took:.0f} s) {mutant.file}: {' '.join(mutant.old.split())} -> {' '.join(mutant.new.split())}")
    return found


def main() -> int:
    """Exit status 0 where just those survive that are known to."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", default="", help="those whose file or text has this")
    parser.add_argument("--from", type=int, default=0, dest="first", help="leave out so many")
    parser.add_argument("--to", type=int, default=None, help="end before this one")
    chosen = parser.parse_args()
    mutants = [each for each in MUTANTS if chosen.only in each.file + each.old][chosen.first : chosen.to]
    with tempfile.TemporaryDirectory(prefix="tidegauge-mutants-") as name:
        copy_tree(Path(name))
        sound: set[str] = set()
        found = [judge(each, Path(name), sound) for each in mutants]
    wrong = [each for each, was in zip(mutants, found, strict=True) if was != (each.survives is None)]
    say(f"{sum(found)} of {len(found)} found, {len(wrong)} otherwise than expected")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
