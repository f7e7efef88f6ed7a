"""`${NAME}` in the configuration: variables of the environment as values, and never as anything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from daemon.config.document import ConfigError, Document
from daemon.config.file import effective, load


def data(directory: Path, text: str) -> dict[str, Any]:
    path = directory / "tidegauge.yaml"
    path.write_text(text)
    return Document(path).data


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the tests' files name."""
    for name, value in {"HOST": "db", "PORT": "9093", "YES": "true", "EMPTY": "", "TREE": "{a: [b, c]}"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NONE", raising=False)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("http://${HOST}:${PORT}/", "http://db:9093/"),
        ("${PORT}", 9093),
        ('"${PORT}"', "9093"),
        ("${YES}", True),
        ("${NONE:-8080}", 8080),
        ("${EMPTY:-x}", "x"),
        ("${EMPTY}", None),
        ("${NONE:-}", None),
        ("$${HOST}", "${HOST}"),
        ("$HOST $ ${", "$HOST $ ${"),
        ("${TREE}", "{a: [b, c]}"),
        ('"{{ series }} ${HOST}"', "{{ series }} db"),
    ],
)
def test_a_variable_is_a_value(tmp_path: Path, written: str, read: object) -> None:
    """Within text or alone, with a default, as a number where it is not quoted; whatever it holds is one value."""
    assert data(tmp_path, f"a: {written}\n")["a"] == read


def test_keys_are_what_they_are(tmp_path: Path) -> None:
    """A key that looks like a variable is a key."""
    assert data(tmp_path, "${HOST}: 1\n") == {"${HOST}": 1}


def test_one_that_is_not_set_is_a_mistake_in_its_line(tmp_path: Path) -> None:
    """The message names line, key and variable, and what to do."""
    with pytest.raises(ConfigError) as failed:
        data(tmp_path, "a: 1\nb:\n  - x ${NONE}\n")
    (problem,) = failed.value.problems
    assert problem.line == 3
    assert problem.text.startswith("b[0] names ${NONE}, which is not set in the environment; set it, give a default")


def test_what_cannot_be_a_value_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret with a line break is refused without a word of it."""
    monkeypatch.setenv("HOST", "geheim\nx")
    with pytest.raises(ConfigError) as failed:
        data(tmp_path, "a: ${HOST}\n")
    assert "geheim" not in str(failed.value)


def test_a_password_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `check` prints and the journal keeps has no password, although sources and sinks are given it."""
    monkeypatch.setenv("BROKER_PASSWORD", "geheim")
    config = tmp_path / "tidegauge.yaml"
    broker = 'url: "mqtt://h", user: a, password: "${BROKER_PASSWORD}"'
    source = f"{{type: mqtt, {broker}, client: c, topics: [t]}}"
    config.write_text(
        f"version: 1\nevents: {{mqtt: [{{{broker}}}]}}\nstreams: {{a: {{sources: [{source}], interval: 1h}}}}\n"
    )
    settings = load(config)
    assert "geheim" not in str(effective(settings))
    for each in (settings.streams["a"].sources[0], settings.events.mqtt[0]):
        assert each.password is not None
        assert each.password.get_secret_value() == "geheim"
        assert "geheim" not in repr(each)
