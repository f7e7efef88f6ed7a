"""Many simulations, one after the other."""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path

from tests.simulation.clock import CLOCK  # first: see there

from tests.simulation.edges import BEGIN  # isort: skip
from tests.simulation.oracle import judge
from tests.simulation.simulation import Simulation

MEMORY = Path("/dev/shm")


def simulate(seed: int) -> Simulation:
    """One seed; raises Wrong, or whatever the daemon raises, where it fails."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None, prefix="tidegauge-") as name:
        directory = Path(name)
        directory.chmod(0o700)
        CLOCK.start(float(BEGIN))
        simulation = Simulation(seed, directory)
        try:
            simulation.run()
            judge(simulation)
        except BaseException as error:
            error.add_note(f"seed {seed}: {dict(simulation.did)}; last calls {simulation.disk.last_calls}")
            raise
        finally:
            CLOCK.stop()
            simulation.disk.close()
            simulation.peer.cut()
    return simulation


def main(parser: argparse.ArgumentParser) -> int:
    """Exit status 1 where a seed failed."""
    parser.add_argument("--seeds", type=int, default=100, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no further one after so long")
    parser.add_argument("--verbose", action="store_true", help="with the daemon's log")
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO if chosen.verbose else logging.CRITICAL)
    began, failed, did, hours, done = CLOCK.real_s(), [], Counter[str](), 0.0, 0
    for seed in range(chosen.first, chosen.first + chosen.seeds):
        if CLOCK.real_s() - began > chosen.seconds:
            break
        done += 1
        try:
            simulation = simulate(seed)
        except Exception as error:
            failed.append(seed)
            traceback.print_exception(error, file=sys.stdout)
            print(f"seed {seed} failed; again: python -m tests.simulation --first {seed} --seeds 1", flush=True)
            continue
        did.update(simulation.did)
        hours += (CLOCK.true_s - BEGIN) / 3600
    print(", ".join(f"{what}: {count}" for what, count in sorted(did.items())))
    print(f"{done} seeds from {chosen.first}, {hours:.0f} simulated hours, {len(failed)} failed {failed} after {CLOCK.real_s() - began:.0f} s")
    return 1 if failed else 0
