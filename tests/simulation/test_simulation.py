"""The daemon below HTTP over kills, power cuts and failing disks is as if nothing had happened (README.md)."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

SEEDS = 14
"""How many each block has: known ones, so that what passes on one machine passes on all."""


def simulate(*arguments: str) -> str:
    """What a campaign says, in a process of its own: it has the clock and the disk of the whole process."""
    command = [sys.executable, "-m", "tests.simulation", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-6000:]}\n{done.stderr[-2000:]}"
    return done.stdout


@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", [1, 82], ids=["first", "later"])
def test_nothing_is_lost_doubled_or_different(first: int) -> None:
    """State, events and what sinks and peers were told are those of the inputs applied once, in order."""
    said = simulate("--first", str(first), "--seeds", str(SEEDS))
    assert ", 0 failed" in said


@pytest.mark.timeout(600)
def test_planted_faults_are_found() -> None:
    """Each fault planted in the product is found, by the seed that is known to find it or one of the first."""
    said = simulate("--plant", "known", "--seeds", "40")
    assert "NOT FOUND" not in said


@pytest.mark.timeout(600)
def test_a_seed_repeats() -> None:
    """One seed does the same each time."""
    assert len({simulate("--first", "3", "--seeds", "1").splitlines()[0] for _ in range(2)}) == 1
