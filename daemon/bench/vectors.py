"""Measuring vectors of many sensors: which faults `manufacturing` finds, and how many vectors a second a daemon scores.

Made vectors, three kinds of fault in their last part. A network is trained offline on the first part; a real daemon
that serves it reads everything from standard input.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import yaml

from daemon.config.file import load
from daemon.engine.machine.engine import Engine
from daemon.engine.messages.events import Event
from daemon.offline import recipes
from daemon.replay.replay import replay
from daemon.replay.trace import ReadingTrace, Tracer
from daemon.store import EventFilter, open_reader
from daemon.trainer.trainer import InlineTrainer
from models.bundle_file import write_bundle
from models.gate_windows import separation
from models.generator import DRIVEN, FAULTS, Fault, break_vector, driven
from models.offline.history import History
from models.offline.recipe import Recipe
from models.offline.scorers import PARTS, errors, prepare, train_scorer
from models.scorer import Scorer

WIDTH, LOADS, INTERVAL_S = 1000, 8, 60
FAULT_EVERY, FAULT_SLOTS = 40, 5
LATER = 12  # slots after a fault in which nothing counts: an episode may go on
FIRST = 1_767_225_600 // INTERVAL_S  # slot of 2026-01-01T00:00Z
STREAM = "line"
_START_LIMIT_S = 900.0  # the first start compiles, on a machine that may be busy

Floats = npt.NDArray[np.float64]
Say = Callable[[str], None]


@dataclass(frozen=True)
class FaultKind:
    """How faults of one kind were found.

    Attributes:
        kind: What was wrong.
        faults: How many there were.
        auc_error: Area under the ROC curve of the network's plain error, slots at fault against normal ones.
        auc_rank: Of the daemon's rank, which takes each sensor's error in units of what is usual for it.
        found: Faults in which an event of the daemon began or went on.
        named: Faults whose event names a sensor at fault as the one that contributed most.
    """

    kind: str
    faults: int
    auc_error: float
    auc_rank: float
    found: int
    named: int


@dataclass(frozen=True)
class Vectors:
    """What a run measured.

    Attributes:
        generator: Name of the rules that made the vectors.
        parameters: Of the network.
        train_seconds, train_windows: Of the offline training.
        losses: Of its parts.
        kinds: Of each kind of fault.
        false_events: Events of the daemon that overlap no fault.
        readings: Vectors that the daemon took.
        readings_per_second: From the first byte on its standard input to its exit, journal on.
        readings_per_cpu_second: The same by the time that a core worked for it, whatever else the machine did.
    """

    generator: str
    parameters: int
    train_seconds: float
    train_windows: int
    losses: dict[str, float]
    kinds: list[FaultKind]
    false_events: int
    readings: int
    readings_per_second: float
    readings_per_cpu_second: float

    def to_json(self) -> dict[str, Any]:
        """All figures."""
        return asdict(self)


class _Fault(NamedTuple):
    """One fault: its slots counted from the first, its kind, and the sensors at fault."""

    start: int
    stop: int
    kind: Fault
    variables: npt.NDArray[np.int64]


def vectors(directory: Path, slots: int, epochs: int, seed: int, say: Say, width: int = WIDTH) -> Vectors:
    """Train, then serve.

    Args:
        directory: Scratch space, about 10 bytes a number.
        slots: Vectors in all; the recipe's shares of them are for training, validation and faults.
        epochs: Of the training, at most.
        seed: Of everything.
        say: Takes a line about what is under way.
        width: Sensors.

    Raises:
        RuntimeError: The daemon did not start, or ended with an error; its log is in the message.
    """
    clean = driven(slots, width, LOADS, seed)
    recipe = recipes.read("manufacturing")
    recipe = recipe.model_copy(update={"training": recipe.training.model_copy(update={"epochs": epochs})})
    history = _history(clean)
    test = int(prepare([history], recipe).windows["test"].slot[0])
    broken, faults = _with_faults(clean, test + FAULT_EVERY, seed)
    say(f"training on {slots} vectors of {width} sensors")
    began = time.monotonic()
    trained = train_scorer([history], recipe, seed, torch.device("cpu"))
    took = time.monotonic() - began
    write_bundle(directory / "bundle.safetensors", trained.bundle)
    names = [f"s{i:04d}" for i in range(width)]
    file, config = directory / "line.csv", directory / "tidegauge.yaml"
    _write(file, broken, names)
    config.write_text(yaml.safe_dump(_configuration(recipe, names, test)))
    say("the daemon, from standard input")
    took_s, cpu_s = _serve(config, file)
    with open_reader(directory / "state") as reader:
        events = [event for _, event in reader.events(EventFilter(stream=STREAM))]
    say("the same once more in this process, for every slot's rank")
    trace = _trace(config, file)
    plain = _plain_errors(Scorer(trained.bundle), recipe, clean, broken, test)
    return Vectors(
        generator=DRIVEN,
        parameters=sum(w.size for w in trained.bundle.weights.values()),
        train_seconds=took,
        train_windows=trained.bundle.manifest.windows,
        losses={part: trained.losses[part] for part in PARTS},
        kinds=[_of_kind(kind, faults, plain, trace, events, names) for kind in FAULTS],
        false_events=sum(not any(_meets(e, fault) for fault in faults) for e in events),
        readings=slots,
        readings_per_second=slots / took_s,
        readings_per_cpu_second=slots / cpu_s,
    )


def _history(values: Floats) -> History:
    at = np.arange(FIRST, FIRST + len(values), dtype=np.int64)
    return History("line", INTERVAL_S, FIRST, values, at * INTERVAL_S)


def _with_faults(clean: Floats, first: int, seed: int) -> tuple[Floats, list[_Fault]]:
    """The vectors with a fault every `FAULT_EVERY` slots from `first` on, the kinds in turn."""
    values, faults = clean, []
    for i, start in enumerate(range(first, len(clean) - FAULT_SLOTS, FAULT_EVERY)):
        kind = FAULTS[i % len(FAULTS)]
        values, chosen = break_vector(values, start, FAULT_SLOTS, kind, seed)
        faults.append(_Fault(start, start + FAULT_SLOTS, kind, chosen))
    return values, faults


def _configuration(recipe: Recipe, names: list[str], warm_up: int) -> dict[str, Any]:
    model = {"architecture": "manufacturing", "window": recipe.network.window, "masked": 1, "copies": 1}
    stream = {
        "sources": [{"type": "stdin"}],
        "format": {"value": names},
        "interval": f"{INTERVAL_S}s",
        "clock": "event",
        "warm_up": f"{warm_up * INTERVAL_S}s",
        "max_series": 4,
        "model": model | {"calendar": False, "bundle": "bundle.safetensors"},
        # a fault every 40 minutes is no month's budget
        "alerts": {"false_alarms_per_month": 100.0, "refractory": "0s"},
    }
    return {"version": 1, "state_dir": "state", "streams": {STREAM: stream}, "http": {"listen": "127.0.0.1:0"}}


def _write(file: Path, values: Floats, names: list[str]) -> None:
    with file.open("w") as out:
        out.write("timestamp," + ",".join(names) + "\n")
        for slot, row in enumerate(values.tolist(), FIRST):
            out.write(f"{slot * INTERVAL_S}," + ",".join(f"{v:.4f}" for v in row) + "\n")


def _serve(config: Path, file: Path) -> tuple[float, float]:
    """Seconds, and seconds of a core, that a daemon takes for the file on its standard input once it is ready."""
    log = config.parent / "log"
    command = [sys.executable, "-m", "daemon.cli", "run", "--config", str(config)]
    with log.open("wb") as err:
        daemon = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=err)
    assert daemon.stdin is not None
    deadline = time.monotonic() + _START_LIMIT_S
    while b"state loaded" not in log.read_bytes():
        if daemon.poll() is not None or time.monotonic() > deadline:
            daemon.kill()
            raise RuntimeError(f"the daemon did not start:\n{log.read_text()}")
        time.sleep(0.2)
    began, worked = time.monotonic(), _cpu_s(daemon.pid)
    with daemon.stdin, file.open("rb") as source:
        while block := source.read(1 << 20):
            daemon.stdin.write(block)
    _, status, usage = os.wait4(daemon.pid, 0)
    daemon.returncode = os.waitstatus_to_exitcode(status)
    if daemon.returncode:
        raise RuntimeError(f"the daemon ended with {daemon.returncode}:\n{log.read_text()}")
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime - worked


def _cpu_s(pid: int) -> float:
    """Seconds of a core that a process has used, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _trace(config: Path, file: Path) -> ReadingTrace:
    """What the engine made of every vector."""
    tracers: list[Tracer] = []

    def begin(engine: Engine) -> None:
        tracers.append(Tracer(engine.streams[STREAM]))

    replay(file, load(config), STREAM, InlineTrainer(), on_engine=begin)
    (trace,) = tracers[0].traces()
    return trace


def _plain_errors(scorer: Scorer, recipe: Recipe, clean: Floats, broken: Floats, test: int) -> dict[int, float]:
    """The network's error of each vector of the last part as it came, by slot; scaled by the first part."""
    prepared = prepare([_history(np.where(np.arange(len(clean))[:, None] < test, clean, broken))], recipe)
    windows = prepared.windows["test"]
    return dict(zip(windows.slot.tolist(), errors(scorer, windows).tolist(), strict=True))


def _of_kind(
    kind: Fault,
    faults: list[_Fault],
    plain: dict[int, float],
    trace: ReadingTrace,
    events: list[Event],
    names: list[str],
) -> FaultKind:
    own = [fault for fault in faults if fault.kind == kind]
    ranks = dict(zip((trace.at // INTERVAL_S - FIRST).tolist(), trace.rank.tolist(), strict=True))
    begin = faults[0].start
    near = {slot for fault in faults for slot in range(fault.start, fault.stop + LATER)}
    normal = [slot for slot in plain if slot >= begin and slot not in near]
    at_fault = [slot for fault in own for slot in range(fault.start, fault.stop)]
    met = [[e for e in events if _meets(e, fault)] for fault in own]
    named = [
        any(e.variables and e.variables[0]["variable"] in {names[v] for v in fault.variables} for e in found)
        for fault, found in zip(own, met, strict=True)
    ]
    auc_error, auc_rank = (
        separation(np.array([by[s] for s in normal]), np.array([by[s] for s in at_fault])) for by in (plain, ranks)
    )
    return FaultKind(kind, len(own), auc_error, auc_rank, sum(bool(found) for found in met), sum(named))


def _meets(event: Event, fault: _Fault) -> bool:
    """Whether an event overlaps a fault."""
    start, end = (at // INTERVAL_S - FIRST for at in (event.started_at, event.ended_at))
    return start < fault.stop and end >= fault.start
