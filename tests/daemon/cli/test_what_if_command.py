"""`tidegauge what-if`: what it prints, and the report it writes."""

from __future__ import annotations

from pathlib import Path

from tests.daemon.cli.small_inputs import configuration, readings
from tests.e2e.processes import json_of, tidegauge


def test_another_limit(tmp_path: Path) -> None:
    """Events that another policy would have lost are listed, in words and as JSON, with a report beside them."""
    config, file = configuration(tmp_path), readings(tmp_path / "tide.csv")
    tidegauge("replay", file, "--config", config, "--state", "state", cwd=tmp_path)
    other = tmp_path / "other.yaml"
    other.write_text(config.read_text().replace("{max: 100}", "{max: 1000}, direction: below"))
    found = json_of("what-if", "--config", other, cwd=tmp_path)
    lost = [event for event in found["lost"] if "limit" in event["reasons"]]
    assert len(lost) >= 2
    assert found["alarms"] > found["alarms_what_if"]
    said = tidegauge("what-if", "--config", other, "--report", "if.html", cwd=tmp_path)
    assert f"lost: {len(found['lost'])}\n" in said.stdout
    assert "outside the configured physical range" in said.stdout
    assert {path.name for path in tmp_path.glob("if*")} >= {"if.html", "if.json", "if-alarms.png", "if-readings-1.png"}
    again = tidegauge("what-if", "--config", other, "--since", "soon", cwd=tmp_path, status=2)
    assert "--since 'soon' is neither how long ago nor an instant" in again.stderr
