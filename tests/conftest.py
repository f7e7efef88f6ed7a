"""What all tests share: components that may be missing, and the data set beside the repository.

Without `CI=true` a test that needs something missing is skipped with the reason; with it the test fails, so that a
green run in CI means that everything ran.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, settings

# a loaded machine is no failure
settings.register_profile("no-clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no-clock")

ROOT = Path(__file__).resolve().parent.parent


def missing(reason: str) -> NoReturn:
    """Skip the test, or fail it in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}; CI=true allows no skipped test", pytrace=False)
    pytest.skip(reason)


def need(tool: str) -> Path:
    """The path of a program such as `prometheus` or `chromium`; without it the test is skipped, or fails in CI."""
    found = shutil.which(tool)
    return Path(found) if found else missing(f"{tool} is not installed (.ci/run installs it)")


def need_mounting() -> None:
    """That this process may mount in a namespace of its own, as root may; without it as with `need`."""
    for tool in ("unshare", "nsenter", "mount"):
        need(tool)
    done = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True, check=False)
    if done.returncode:
        missing(f"no mount namespace can be made here ({done.stderr.strip()}); run the tests as root")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The directory of reference data: `TIDEGAUGE_DATA`, else `../shared/data`."""
    named = os.environ.get("TIDEGAUGE_DATA")
    data = Path(named) if named else ROOT.parent / "shared" / "data"
    return data if data.is_dir() else missing(f"there is no {data}; set TIDEGAUGE_DATA to the reference data")
