"""What the tests stand on: nothing is skipped in CI, and the distribution holds the packages and no tests."""

from __future__ import annotations

import importlib
import tomllib

import pytest

from daemon.cli.ownership import NAMES
from tests.conftest import ROOT, need


def test_a_missing_component_skips_here_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """`need` skips without `CI=true` and fails with it, so that a green CI run skipped nothing."""
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-tool is not installed"):
        need("no-such-tool")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="CI=true allows no skipped test"):
        need("no-such-tool")


def test_a_component_that_is_there_is_a_path() -> None:
    """`need` gives the program's path."""
    assert need("sh").is_absolute()


def test_the_distribution_has_all_packages_and_only_ours() -> None:
    """The include patterns find every package under daemon, models and adapters, and neither tests nor deploy."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    find_packages = importlib.import_module("setuptools").find_packages
    found = find_packages(str(ROOT), include=pyproject["tool"]["setuptools"]["packages"]["find"]["include"])
    files = [file for name in NAMES for file in (ROOT / name).rglob("__init__.py")]
    assert sorted(found) == sorted(".".join(file.parent.relative_to(ROOT).parts) for file in files)
