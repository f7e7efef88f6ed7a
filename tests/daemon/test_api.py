"""Tidegauge in Python: the same results as the commands have, however readings are cut, and through its own bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from daemon import api
from tests.daemon.cli.small_inputs import configuration, readings
from tests.e2e.processes import json_of

SETTINGS: dict[str, object] = {
    "interval": "1h",
    "warm_up": "4d",
    "format": {"series": "gauge"},
    "model": {"window": 8, "copies": 1, "retrain_every": 100},
    "alerts": {"limits": {"max": 100}},
}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The small tide gauge's readings."""
    return pd.read_csv(readings(tmp_path_factory.mktemp("api") / "tide.csv"), parse_dates=["timestamp"])


def test_how_the_tables_are_cut_does_not_matter(table: pd.DataFrame) -> None:
    """Row by row shuffled pieces, or one table: equal scores, events and bytes."""
    whole = api.Detector(SETTINGS)
    scored = whole.update(table)
    parts = api.Detector(SETTINGS)
    pieces = [table[start : start + 37].sample(frac=1, random_state=1) for start in range(0, len(table), 37)]
    found = pd.concat([parts.update(piece) for piece in pieces], ignore_index=True)
    pd.testing.assert_frame_equal(found, scored)
    pd.testing.assert_frame_equal(parts.revisions, whole.revisions)
    assert parts.dump() == whole.dump()
    assert whole.ready == ["pier"]
    assert set(whole.events["reasons"]) >= {"limit"}
    assert len(whole.events) < len(whole.revisions)


def test_a_loaded_detector_goes_on_to_the_same_bits(table: pd.DataFrame) -> None:
    """In the middle of its life dumped and loaded: what follows is equal; the events told before are not repeated."""
    one = api.Detector(SETTINGS)
    one.update(table[:150])
    other = api.Detector.load(one.dump())
    assert len(other.events) == 0
    pd.testing.assert_frame_equal(other.update(table[150:]), one.update(table[150:]))
    assert other.dump() == one.dump()
    with pytest.raises(ValueError, match="not an archive"):
        api.Detector.load(b"nothing")


def test_a_replay_is_what_the_command_prints(table: pd.DataFrame, tmp_path: Path) -> None:
    """The same events as `tidegauge replay --json`, under a configuration, and under the same keys."""
    config, file = configuration(tmp_path), readings(tmp_path / "tide.csv")
    printed = json_of("replay", file, "--config", config, cwd=tmp_path)
    for found in (api.replay(file, config=config), api.replay(file, SETTINGS)):
        assert found.events["id"].str.len().eq(16).all()
        assert found.events["reasons"].tolist() == [", ".join(each["reasons"]) for each in printed["events"]]
        assert found.events["score"].tolist() == [each["score"] for each in printed["events"]]
        assert found.trainings == printed["trainings"]
        assert len(found.readings) == len(table)
    with pytest.raises(ValueError, match="it is one of tide"):
        api.replay(file, config=config, stream="ebb")


def test_a_warm_up_can_be_ended(table: pd.DataFrame) -> None:
    """With history shorter than the warm-up, the command trains and scores with what there is."""
    detector = api.Detector(SETTINGS | {"warm_up": "60d"})
    assert detector.update(table[:150])["rank"].isna().all()
    assert detector.ready == []
    assert detector.end_warm_up() == 1
    assert detector.update(table[150:])["rank"].notna().any()


def test_rows_that_are_none_are_counted(table: pd.DataFrame) -> None:
    """Nothing is dropped in silence: what is no reading, and what the engine does not take."""
    detector = api.Detector(SETTINGS)
    detector.update(table.assign(value=table["value"].where(np.arange(len(table)) % 100 != 0)))
    detector.update(table[40:41].assign(value=1.0))
    assert detector.rejected["missing_value"] == 3
    assert sum(detector.rejected.values()) == 4
    with pytest.raises(api.ConfigError, match="settings: intervall "):
        api.Detector({"intervall": "1h"})
