"""`tidegauge bench vectors` on few sensors: a real training, a real daemon fed through a pipe."""

from __future__ import annotations

from pathlib import Path

from daemon.bench.vectors import vectors


def test_faults_are_found_and_named(tmp_path: Path) -> None:
    """A sensor that is off stands out of the daemon's ranks and is named; every vector is scored."""
    found = vectors(tmp_path, 900, 4, 0, lambda line: None, width=40)
    off = next(kind for kind in found.kinds if kind.kind == "one variable off")
    assert [kind.faults for kind in found.kinds] == [3, 2, 2]
    assert off.auc_rank > 0.7
    assert (off.found, off.named) == (3, 3)
    assert found.readings == 900
    assert found.readings_per_second > 0
    assert found.readings_per_cpu_second > 0
