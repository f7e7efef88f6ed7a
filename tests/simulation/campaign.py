"""Many simulations, one after the other."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tests.simulation.clock import CLOCK  # first: see there

from tests.simulation.edges import BEGIN  # isort: skip
from tests.simulation.oracle import judge, judge_after_damage
from tests.simulation.planted import PLANTS, Plant, planted
from tests.simulation.simulation import Simulation

MEMORY = Path("/dev/shm")


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def simulate(seed: int) -> Simulation:
    """One seed; raises WrongError, or whatever the daemon raises, where it fails."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None, prefix="tidegauge-") as name:
        directory = Path(name)
        directory.chmod(0o700)
        CLOCK.start(float(BEGIN))
        simulation = Simulation(seed, directory)
        try:
            simulation.run()
            judge(simulation)
            simulation.rot()
            judge_after_damage(simulation)
        except BaseException as error:
            error.add_note(
                f"seed {seed}, damaged {simulation.damage}: {dict(simulation.did)}; "
                f"last calls {simulation.disk.last_calls}"
            )
            raise
        finally:
            CLOCK.stop()
            simulation.disk.close()
            simulation.peer.cut()
    return simulation


def find(plant: Plant, seeds: Iterable[int]) -> tuple[int, str] | None:
    """The first of the seeds that finds a planted fault, and how it shows."""
    with planted(plant):
        for seed in seeds:
            try:
                simulate(seed)
            except Exception as error:
                return seed, f"{type(error).__name__}: {error}".splitlines()[0]
    return None


def main(parser: argparse.ArgumentParser) -> int:
    """Exit status 1 where a seed failed, or a planted fault was not found."""
    parser.add_argument("--seeds", type=int, default=100, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no further one after so long")
    parser.add_argument(
        "--plant", choices=[*PLANTS, "all", "known"], help="plant a fault, and look for a seed that finds it"
    )
    parser.add_argument("--verbose", action="store_true", help="with the daemon's log")
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO if chosen.verbose else logging.CRITICAL)
    seeds = range(chosen.first, chosen.first + chosen.seeds)
    return run(seeds, chosen.seconds) if chosen.plant is None else look_for(chosen.plant, seeds)


def look_for(name: str, seeds: Iterable[int]) -> int:
    """Plant faults; `all` looks for the first seed that finds each, `known` begins with the one that did."""
    missed = 0
    for each in [name] if name in PLANTS else PLANTS:
        plant = PLANTS[each]
        found = find(plant, [plant.seed, *seeds] if name == "known" else seeds)
        missed += found is None
        say(f"{each}: {plant.words}: " + ("NOT FOUND" if found is None else f"seed {found[0]}, {found[1]}"))
    return 1 if missed else 0


def run(seeds: Iterable[int], seconds: float) -> int:
    """Simulate, as many as can be begun in so many seconds."""
    began, failed, did, hours, done = CLOCK.real_s(), [], Counter[str](), 0.0, 0
    for seed in seeds:
        if CLOCK.real_s() - began > seconds:
            break
        done += 1
        try:
            simulation = simulate(seed)
        except Exception as error:
            failed.append(seed)
            traceback.print_exception(error, file=sys.stdout)
            say(f"seed {seed} failed; again: python -m tests.simulation --first {seed} --seeds 1")
            continue
        did.update(simulation.did)
        hours += (CLOCK.true_s - BEGIN) / 3600
    took = CLOCK.real_s() - began
    say(", ".join(f"{what}: {count}" for what, count in sorted(did.items())))
    say(f"{done} seeds, {hours:.0f} simulated hours, {len(failed)} failed {failed} after {took:.0f} s")
    return 1 if failed else 0
