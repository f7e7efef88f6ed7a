"""docs/configuration.md, the sample and the schema say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from daemon.config import sample
from daemon.config.file import effective, load
from daemon.config.schema import keys
from daemon.config.settings import Settings
from tests.conftest import ROOT

PAGE = ROOT / "docs/configuration.md"


def written(directory: Path, text: str) -> Settings:
    path = directory / "tidegauge.yaml"
    path.write_text(text)
    return load(path, serving=True)


def test_the_page_is_what_make_docs_writes() -> None:
    """The reference table and the sample on the page are those of the code; `make docs` brings them up to date."""
    page = PAGE.read_text(encoding="utf-8")
    assert sample.documented(page) == page, "docs/configuration.md is out of date; run make docs"


def test_the_sample_can_be_run_as_it_stands(tmp_path: Path) -> None:
    """The sample is a valid configuration that tails ./readings/*.csv."""
    settings = written(tmp_path, sample.sample())
    (stream,) = settings.streams.values()
    assert [source.path for source in stream.sources] == [f"{tmp_path}/readings/*.csv"]


def test_the_sample_has_the_paths_it_is_given(tmp_path: Path) -> None:
    """State directory and readings are set, whatever characters they have, and nothing else is."""
    settings = written(tmp_path, sample.sample(Path("/var/lib/a: b"), '/srv/*"x".csv'))
    assert str(settings.state_dir) == "/var/lib/a: b"
    assert [source.path for source in settings.streams["readings"].sources] == ['/srv/*"x".csv']
    plain = effective(written(tmp_path, sample.sample()))
    assert {key for key, value in effective(settings).items() if value != plain[key]} == {"state_dir", "streams"}


def test_the_sample_shows_every_key_with_its_default(tmp_path: Path) -> None:
    """With every optional key uncommented the sample means the same, so each is there, spelt right, at its default."""
    text = re.sub(r"^( *)# (\w+: )", r"\1\2", sample.sample(), flags=re.MULTILINE)
    assert written(tmp_path, text) == written(tmp_path, sample.sample())
    names = re.findall(r"^ *(?:- )?(\w+):", text, flags=re.MULTILINE)
    assert sorted(names) == sorted([*(key.name for key in keys()), "readings"])


def test_every_key_has_a_meaning_and_a_reload_effect() -> None:
    """No key is undocumented: each has a sentence, and each value says what a reload does with it."""
    for key in keys():
        assert re.fullmatch(r".{8,}\.", key.meaning), key.path
        assert key.section or key.effect in {"live", "retrain", "state"}, key.path


def test_the_table_has_every_key_of_an_effective_configuration(tmp_path: Path) -> None:
    """What `tidegauge check` prints has no key that the reference lacks, and the reference none that it lacks."""

    def paths(value: object, prefix: str) -> set[str]:
        if isinstance(value, list) and not all(isinstance(item, str) for item in value):
            return set[str]().union(*(paths(item, f"{prefix}[]") for item in value))
        if not isinstance(value, dict):
            return {prefix}
        return set[str]().union(*(paths(item, f"{prefix}.{name}") for name, item in value.items()))

    config = effective(written(tmp_path, sample.sample()))
    printed = {path.lstrip(".").replace("streams.readings", "streams.NAME") for path in paths(config, "")}
    assert printed == {key.path for key in keys() if not key.section}
    rows = re.findall(r"^\| `([^`]+)` \|", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert rows == [key.path for key in keys()]


def test_a_page_without_the_marks_is_refused() -> None:
    """Writing into a page that has no place for the generated parts says so instead of losing them."""
    with pytest.raises(ValueError, match="add both marks"):
        sample.documented("# Configuration\n")
