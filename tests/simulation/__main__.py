"""`make simulate SEEDS=1000`: simulations one after the other; each that fails, and the command that repeats it."""

from __future__ import annotations

import argparse
import os
import sys

if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets is part of a seed
    os.execve(
        sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]], os.environ | {"PYTHONHASHSEED": "0"}
    )

from tests.simulation.campaign import main

sys.exit(main(argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)))
