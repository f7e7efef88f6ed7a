"""What the bits of a result depend on besides the input: versions, the rules of time zones, and the CPU."""

from __future__ import annotations

import contextlib
import platform
import re
import sys
import zoneinfo
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("tidegauge", "numpy", "numba", "torch", "river", "holidays")


def versions() -> dict[str, str]:
    """Name -> version of everything that computes, and the CPU's model and widest vectors; imports none of it."""
    found = {"python": platform.python_version(), "platform": f"{sys.platform}-{platform.machine()}"}
    for package in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found | _time_zones() | _cpu()


def _time_zones(folders: Sequence[str] = zoneinfo.TZPATH) -> dict[str, str]:
    """Version of the rules that local time follows: the system's, else those of the package `tzdata`."""
    for folder in folders:
        with contextlib.suppress(OSError):
            named = re.match(r"# version (\S+)", (Path(folder) / "tzdata.zi").read_text(encoding="utf-8")[:80])
            return {"time_zones": f"system {named[1]}" if named else "system"}
    with contextlib.suppress(PackageNotFoundError):
        return {"time_zones": f"package {version('tzdata')}"}
    return {}


def _cpu(path: Path = Path("/proc/cpuinfo")) -> dict[str, str]:
    """Model and vector capability of the first processor, as torch names it; empty where the kernel does not tell."""
    facts: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for line in path.read_text().splitlines():
            name, _, value = line.partition(":")
            facts.setdefault(name.strip(), value.strip())
    flags = set(facts.get("flags", "").split())
    if not flags:
        return {}
    capability = "AVX512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "DEFAULT"
    return {"cpu": facts.get("model name", "unknown"), "cpu_capability": capability}
