"""Several daemons that share the series: each reads what is its own, and together they read everything once."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.uploads.inbox import Inboxes
from daemon.config.document import ConfigError
from daemon.config.file import effective, load
from daemon.config.settings import Settings
from daemon.engine.machine.engine import Engine, essential
from daemon.engine.messages.inputs import Batch, Configured
from daemon.intake.intake import Intake
from daemon.intake.shards import part_of
from daemon.replay.replay import replay
from daemon.trainer.trainer import InlineTrainer

NAMES = [f"meter-{i:04d}" for i in range(400)]
BAD = 3


def configured(directory: Path, shard: str) -> Settings:
    """The settings of one stream that reads `readings.csv`."""
    path = directory / "tidegauge.yaml"
    path.write_text(
        "version: 1\nstreams:\n  meters:\n    clock: event\n    format: {series: series}\n"
        f"    sources: [{{path: readings.csv}}]\n{shard}"
    )
    return load(path, serving=True)


def written(directory: Path) -> Path:
    """Three slots of all series, and lines that are no readings."""
    path = directory / "readings.csv"
    slots = ("2024-05-01T10:00:00Z", "2024-05-01T10:30:00Z", "2024-05-01T11:00:00Z")
    lines = [f"{at},{name},{i}\n" for at in slots for i, name in enumerate(NAMES)]
    path.write_text("timestamp,series,value\n" + "".join(lines) + "nothing\n" * BAD)
    return path


def read(settings: Settings) -> tuple[list[Batch], dict[str, float]]:
    """All batches of the stream's source, and its gauges."""
    intake = Intake.of("meters", settings.streams["meters"], settings.limits, Inboxes(), settings.shard)
    intake.open({})
    found = []
    while (taken := intake.poll(0)) is not None:
        assert taken.positions, "positions move on whoever's the readings were"
        found.append(taken.batch)
    gauges = intake.status()["meters/0"]
    intake.close()
    return found, gauges


def readings(batches: list[Batch]) -> list[tuple[str, int, float]]:
    return [
        (batch.series[code], int(at), float(value[0]))
        for batch in batches
        for code, at, value in zip(batch.codes, batch.at_ms, batch.values, strict=True)
    ]


@pytest.mark.parametrize("of", [2, 3, 7])
def test_parts_are_all_series_once(tmp_path: Path, of: int) -> None:
    """Every reading is taken by exactly one part, in the order of the whole; the others count it as passed over."""
    written(tmp_path)
    whole = readings(read(configured(tmp_path, ""))[0])
    parts = []
    for index in range(of):
        batches, gauges = read(configured(tmp_path, f"shard: {{index: {index}, of: {of}}}\n"))
        own = readings(batches)
        assert own == [each for each in whole if part_of(each[0], of) == index]
        assert gauges["passed_over"] == len(whole) - len(own)
        assert gauges["rejected_lines"] == BAD, "a line that is no reading is told by every part"
        parts += own
    assert sorted(parts) == sorted(whole)


def test_without_shards_nothing_is_passed_over(tmp_path: Path) -> None:
    """The gauge is absent where all series are watched."""
    written(tmp_path)
    assert "passed_over" not in read(configured(tmp_path, ""))[1]


def test_a_chunk_of_others_alone_moves_on(tmp_path: Path) -> None:
    """A file without a single own reading is read to its end, and nothing of it is taken."""
    other = next(name for name in NAMES if part_of(name, 2) == 1)
    (tmp_path / "readings.csv").write_text(f"timestamp,series,value\n2024-05-01T10:00:00Z,{other},1\n")
    batches, gauges = read(configured(tmp_path, "shard: {index: 0, of: 2}\n"))
    assert (readings(batches), gauges["passed_over"], gauges["lag_bytes"]) == ([], 1, 0)


def test_parts_are_those_of_hashmod() -> None:
    """The part is the last eight bytes of the name's MD5 modulo the parts, and no part is much larger than another.

    The first numbers are MD5 as md5sum prints it, taken by hand: a name's part must never change.
    """
    assert part_of("", 1 << 63) == 0xE9800998ECF8427E & ((1 << 63) - 1)
    assert part_of("a", 1 << 63) == 0x31C399E269772661 & ((1 << 63) - 1)
    sizes = [sum(part_of(name, 4) == index for name in NAMES) for index in range(4)]
    assert sum(sizes) == len(NAMES)
    assert min(sizes) > 70, sizes


def test_a_replay_takes_the_part_too(tmp_path: Path) -> None:
    """`replay` under a daemon's configuration sees its series only, and says how many readings it left out."""
    path = written(tmp_path)
    settings = configured(tmp_path, "shard: {index: 1, of: 4}\n")
    report = replay(path, settings, "meters", InlineTrainer())
    own = 3 * sum(part_of(name, 4) == 1 for name in NAMES)
    assert report.readings == own
    assert f"{3 * len(NAMES) - own} readings are not of shard 1 of 4 and were passed over" in report.warnings


def test_a_state_is_of_one_part(tmp_path: Path) -> None:
    """Another part is refused by name, since its series would fall silent; a state without parts has no trace."""
    engine = Engine(InlineTrainer())
    assert "shard" not in essential(effective(configured(tmp_path, "")))
    engine.step(Configured(effective(configured(tmp_path, "shard: {index: 1, of: 4}\n"))))
    for other in ("shard: {index: 2, of: 4}\n", "shard: {index: 1, of: 5}\n", ""):
        with pytest.raises(ValueError, match=r"shard\..* differ from what the state was built on"):
            engine.check(effective(configured(tmp_path, other)))
    again = Engine(InlineTrainer())
    again.load(engine.dump())
    assert again.settings is not None
    assert (again.settings.shard.index, again.settings.shard.of) == (1, 4)


@pytest.mark.parametrize(
    ("shard", "said"), [("{index: 4, of: 4}", "of 4 parts the last is 3"), ("{index: 0, of: 0}", "shard.of")]
)
def test_a_part_that_cannot_be(tmp_path: Path, shard: str, said: str) -> None:
    """An index beyond the parts, or no parts, is a mistake of the configuration."""
    with pytest.raises(ConfigError, match=said):
        configured(tmp_path, f"shard: {shard}\n")
