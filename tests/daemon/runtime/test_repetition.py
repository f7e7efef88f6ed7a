"""What is journaled is applied in one place, in order, from the entry that a state includes."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.engine.machine.engine import Engine, StepResult
from daemon.engine.messages.inputs import Configured, Input
from daemon.runtime.repetition import repeat
from daemon.store import Store
from daemon.trainer.trainer import InlineTrainer
from tests.daemon.engine.small_engines import STREAM, batch, config, noise

DAEMON = Path(__file__).parents[3] / "daemon"


@pytest.mark.parametrize("after", [0, 1, 3, 4])
def test_every_entry_after_the_state_is_applied_once_in_order(after: int, tmp_path: Path) -> None:
    """Numbers follow each other, progress counts what was asked for, and a state that has all repeats nothing."""
    items: list[Input] = [Configured(config()), *(batch(noise([slot])) for slot in range(3))]
    with Store.open(tmp_path / "state") as store:
        store.append(items, {STREAM: {}}, 0)
        engine, applied, said = Engine(InlineTrainer()), [], []

        def step(seq: int, item: Input) -> StepResult:
            applied.append((seq, type(item)))
            return engine.step(item) if after == 0 else StepResult([])

        numbers = [seq for seq, _ in repeat(store, step, after, lambda done, total: said.append((done, total)))]
    assert numbers == list(range(after + 1, 5))
    assert applied == [(seq, type(items[seq - 1])) for seq in numbers]
    assert said == [(i + 1, 4 - after) for i in range(4 - after)]


def test_no_other_module_applies_recorded_entries() -> None:
    """Only `repetition` goes through a journal's entries beside a step of the engine; `past` through one stream's."""
    found = [
        path.relative_to(DAEMON).as_posix()
        for path in DAEMON.rglob("*.py")
        if ".entries(" in (text := path.read_text(encoding="utf-8")) and "step(" in text
    ]
    assert sorted(found) == ["runtime/past.py", "runtime/repetition.py"]
