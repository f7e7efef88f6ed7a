"""`tidegauge kit`: what goes around a daemon, from the package, and written nowhere that something else is."""

from __future__ import annotations

import re
import subprocess
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from adapters.sinks import SINKS
from adapters.source_registry import SOURCES
from daemon.config.file import load
from daemon.kit.kit import contents, write_kit
from tests.conftest import ROOT, need
from tests.e2e.processes import json_of, tidegauge


def run(program: str, *arguments: str | Path) -> None:
    command = [str(need(program)), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_written_is_what_others_take(tmp_path: Path) -> None:
    """`promtool` takes the configuration with its rules, `amtool` the Alertmanager's; all are YAML."""
    write_kit(tmp_path)
    run("promtool", "check", "rules", tmp_path / "prometheus/tidegauge.rules.yml")
    run("promtool", "check", "config", tmp_path / "prometheus/prometheus.yml")
    run("promtool", "test", "rules", tmp_path / "prometheus/tidegauge.rules.test.yml")
    run("amtool", "check-config", tmp_path / "alertmanager/alertmanager.yml")
    for path in tmp_path.rglob("*.yml"):
        assert yaml.safe_load(path.read_text(encoding="utf-8")), path


def test_every_configuration_can_be_run(tmp_path: Path) -> None:
    """There is one for each source and each sink, and the commented one with all keys; the daemon takes them all."""
    write_kit(tmp_path)
    found = {path.stem: load(path, serving=True) for path in (tmp_path / "configurations").iterdir()}
    wanted = {"tidegauge", *(f"source-{key}" for key in SOURCES), *(f"sink-{key}" for key in SINKS)}
    assert set(found) == wanted
    for key in SOURCES:
        (stream,) = found[f"source-{key}"].streams.values()
        assert [source.type for source in stream.sources] == [key]
    assert all(getattr(found[f"sink-{key}"].events, key) for key in SINKS)


def test_the_distribution_has_the_files() -> None:
    """What lies in the tree is in the package's data, read without a path, and the wheel's patterns name each file."""
    shipped = ROOT / "daemon/kit/files"
    paths = sorted(str(path.relative_to(shipped)) for path in shipped.rglob("*") if path.is_file())
    assert set(paths) <= set(contents())
    for path in paths:
        assert (files("daemon.kit") / "files" / path).read_bytes() == contents()[path]
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    found = {path for pattern in patterns["daemon.kit"] for path in shipped.parent.glob(pattern) if path.is_file()}
    assert sorted(str(path.relative_to(shipped)) for path in found) == paths


def test_the_readme_names_what_is_there() -> None:
    """The kit's own README leads to each of its directories, and to nothing that is not there."""
    text, paths = contents()["README.md"].decode(), [path for path in contents() if path != "README.md"]
    assert [path for path in paths if path.split("/")[0] not in text] == []
    named = re.findall(r"^- `([^`]+)`", text, re.MULTILINE)
    assert [name for name in named if not any(path.startswith(name) for path in paths)] == []


@pytest.mark.parametrize("name", ["tidegauge.schema.json", "grafana/tidegauge.json", "grafana"])
def test_what_is_there_is_not_overwritten(name: str, tmp_path: Path) -> None:
    """A file of another content, or one where a directory goes, stops it before it writes anything."""
    taken = tmp_path / "kit" / name
    taken.parent.mkdir(parents=True)
    taken.write_text("mine")
    done = tidegauge("kit", "kit", cwd=tmp_path, status=1)
    assert done.stderr.count("\n") == 1
    assert f"kit/{name}" in done.stderr
    assert [path for path in (tmp_path / "kit").rglob("*") if path.is_file()] == [taken]
    assert taken.read_text() == "mine"


def test_it_lists_what_it_wrote(tmp_path: Path) -> None:
    """Every path, as lines or as JSON; the same again changes nothing, and `--force` brings back what was changed."""
    listed = json_of("kit", "kit", cwd=tmp_path)
    assert listed == {"directory": "kit", "files": list(contents())}
    (tmp_path / "kit/README.md").write_text("changed")
    (tmp_path / "kit/own.yml").write_text("own")
    lines = tidegauge("kit", "kit", "--force", cwd=tmp_path).stdout.splitlines()
    assert lines[:-1] == [f"wrote kit/{path}" for path in contents()]
    assert {path: (tmp_path / "kit" / path).read_bytes() for path in contents()} == contents()
    assert (tmp_path / "kit/own.yml").read_text() == "own"
    tidegauge("kit", "kit", cwd=tmp_path)
