"""What loading a bundle must not drag in."""

from __future__ import annotations

import subprocess
import sys

import pytest

_PROBE = """
import sys
from models.network_config import NetworkConfig
import models.scripted_network
models.scripted_network._shapes({architecture!r}, NetworkConfig(width={width}))
print({{"torch._dynamo", "sympy"}} & sys.modules.keys() or "neither")
"""


@pytest.mark.parametrize("width", [1, 8])
@pytest.mark.parametrize("architecture", ["masked-autoencoder", "dense-3", "lstm"])
def test_checking_a_bundle_imports_no_compiler(architecture: str, width: int) -> None:
    """The shapes of a serving network are known without torch's compiler, which costs each start 800 modules."""
    probe = _PROBE.format(architecture=architecture, width=width)
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "neither"
