"""What a daemon and its worker import, since that is most of their memory and of a start."""

from __future__ import annotations

import subprocess
import sys
import tomllib

from packaging.requirements import Requirement

from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

IMPORTED_AS = {"pyyaml": "yaml", "protobuf": "google.protobuf", "prometheus-client": "prometheus_client"}
IMPORTED_AS |= {"nats-py": "nats", "paho-mqtt": "paho", "annotated-types": "annotated_types"}
IMPORTED_AS |= {"confluent-kafka": "confluent_kafka"}

HEAVY = {"scipy.stats", "scipy.sparse", "sympy", "torch._dynamo", "narwhals", "sklearn"}
"""What others bring with them, and nothing here needs."""

DAEMON = """
import daemon.cli.main, daemon.runtime.precompilation, daemon.service.service
from tests.daemon.engine.small_engines import PureTrainer, batch, config, noise
from daemon.engine.machine.engine import Engine
from daemon.engine.messages.inputs import Configured
engine = Engine(PureTrainer())
engine.step(Configured(config()))
engine.step(batch(noise(range(20))))
"""
WORKER = "import daemon.trainer.worker, models.training"


def packages() -> set[str]:
    """Packages that this project asks for, by the names they are imported by; those for developers apart."""
    extras = [text for name, texts in PROJECT["optional-dependencies"].items() if name != "dev" for text in texts]
    names = {Requirement(text).name.lower() for text in PROJECT["dependencies"] + extras}
    return {IMPORTED_AS.get(name, name) for name in names}


def imported(code: str) -> set[str]:
    """Which of them, and of what they bring with them, are there when a new process has run `code`."""
    asked = sorted(packages() | HEAVY)
    program = f"import sys\n{code}\nsys.stdout.write(' '.join(name for name in {asked} if name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=600, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_a_daemon_in_warm_up_has_no_torch() -> None:
    """With a file as source and no network yet it has what it needs: no torch, pandas, broker or table of scipy's."""
    assert imported(DAEMON) == {
        *("aiohttp", "apscheduler", "jinja2", "prometheus_client"),  # pages, metrics, schedule
        *("annotated_types", "bcrypt", "pydantic", "rich", "typer", "yaml"),  # command and configuration
        *("numba", "numpy", "orjson", "river", "safetensors"),  # engine and store
    }


def test_a_worker_has_what_trains() -> None:
    """Neither a server, nor compiled code, nor tables."""
    assert imported(WORKER) == {"numpy", "orjson", "pydantic", "safetensors", "torch"}
