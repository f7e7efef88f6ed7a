"""Reading the configuration: what is accepted, and the exact line for what is not."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from daemon.config.change import changes
from daemon.config.file import ConfigError, effective, from_effective, load
from daemon.config.settings import Settings
from tests.daemon.config.broken import BROKEN, LISTENER, STREAM


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory in which `tidegauge.yaml` is that short name."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text: str | bytes) -> Path:
    path = Path("tidegauge.yaml")
    path.write_bytes(text if isinstance(text, bytes) else textwrap.dedent(text).encode())
    return path


def complaints(text: str | bytes, serving: bool = False) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(write(text), serving=serving)
    assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]
    return str(caught.value).splitlines()


@pytest.mark.parametrize("name", BROKEN)
def test_a_mistake_is_one_line_that_says_where_and_what_to_do(name: str, directory: Path) -> None:
    """The message of each broken file is exactly its line: file, line, key path, value, conflict, remedy."""
    text, line = BROKEN[name]
    assert complaints(text) == [f"tidegauge.yaml{line}"]


PATHS = {
    "the same path": ("taxi.csv", "./taxi.csv", True),
    "a glob and a file it names": ("taxi.csv", "*.csv", True),
    "a file and a glob, upwards": ("../up/*.csv", "../up/taxi.csv", True),
    "two globs with a file in common": ("t*.csv", "*i.csv", True),
    "two globs with none in common": ("t*.csv", "*b.csv", False),
    "a glob that stays in its directory": ("*.csv", "deeper/taxi.csv", False),
    "two files": ("taxi.csv", "bus.csv", False),
}


@pytest.mark.parametrize("name", PATHS)
def test_a_file_has_one_reader(name: str, directory: Path) -> None:
    """Two sources that would read the same file are refused, whether by their text or by the files there are."""
    (directory / "taxi.csv").touch()
    one, two, clash = PATHS[name]
    text = f"version: 1\nstreams:\n  a:\n    sources: [{{path: '{one}'}}]\n  b:\n    sources: [{{path: '{two}'}}]\n"
    if clash:
        where = f"tidegauge.yaml:6: streams.b.sources[0].path is {directory / two}"
        assert complaints(text) == [f"{where}, but streams.a.sources[0] reads it already; keep one of the two"]
    else:
        assert list(load(write(text)).streams) == ["a", "b"]


def test_a_file_that_is_missing_or_no_file_is_said_to_be(directory: Path) -> None:
    """A path that cannot be read is one line with the way out."""
    for path, text in {
        "none.yaml": "there is no such file; write one with tidegauge init, or name another with --config",
        ".": "the file cannot be read (Is a directory); name a readable file with --config",
    }.items():
        with pytest.raises(ConfigError) as caught:
            load(Path(path))
        assert str(caught.value) == f"{path}: {text}"


def test_a_bundle_must_exist_and_events_must_not_feed_a_stream(directory: Path) -> None:
    """Keys that hold for themselves are still refused when the files they name make them impossible."""
    text = STREAM + "    model:\n      bundle: none.pt\nevents:\n  file: taxi.csv\n"
    assert complaints(text) == [
        f"tidegauge.yaml:7: streams.taxi.model.bundle is {directory}/none.pt, but there is no such file; "
        "name a bundle's file or remove the key",
        f"tidegauge.yaml:5: streams.taxi.sources[0].path is {directory}/taxi.csv, but events.file is written there; "
        "move events.file elsewhere",
    ]


def test_certificates_must_exist(directory: Path) -> None:
    """Each file of a listener's TLS that is not there is named before anything starts; paths are the file's own."""
    (directory / "server.pem").touch()
    text = LISTENER + "        tls: {certificate: server.pem, client_ca: none.pem}\n"
    assert complaints(text) == [
        f"tidegauge.yaml:7: streams.taxi.sources[0].tls.client_ca is {directory}/none.pem, but there is no such file; "
        "name a PEM file or remove the key"
    ]


def test_every_mistake_is_reported_at_once_in_the_order_of_the_file(directory: Path) -> None:
    """Three wrong keys are three lines, in the order of their line numbers."""
    text = STREAM + "    stamp: x\n    interval: x\nhttp:\n  listen: x\n"
    assert [line.split(" ")[:2] for line in complaints(text)] == [
        ["tidegauge.yaml:6:", "streams.taxi.stamp"],
        ["tidegauge.yaml:7:", "streams.taxi.interval"],
        ["tidegauge.yaml:9:", "http.listen"],
    ]


def test_a_stream_needs_a_source_only_to_be_served(directory: Path) -> None:
    """Replay feeds a stream by itself; the daemon cannot, so `serving` asks for a source."""
    text = "version: 1\nstreams:\n  taxi:\n    sources: []\n"
    assert load(write(text)).streams["taxi"].sources == []
    assert complaints(text, serving=True) == [
        "tidegauge.yaml:4: streams.taxi.sources is empty, so nothing would be read; add a source"
    ]


def test_an_override_wins_and_complains_as_the_command_line(directory: Path) -> None:
    """A value from the command line replaces the file's; when wrong, the message names the command line."""
    path = write(STREAM + "    interval: 1h\n")
    settings = load(path, {"streams.taxi.interval": "15m", "http.listen": "0.0.0.0:0", "state_dir": Path("here")})
    assert (settings.streams["taxi"].interval, settings.http.address) == (900, ("0.0.0.0", 0))
    assert settings.state_dir == directory / "here"
    with pytest.raises(ConfigError) as caught:
        load(path, {"streams.taxi.stamp": "middle"})
    expected = 'command line: streams.taxi.stamp is "middle", not one of the choices; set start or end'
    assert str(caught.value) == expected


def test_paths_are_relative_to_the_file_or_for_overrides_to_the_working_directory(directory: Path) -> None:
    """A file in conf/ names its neighbours; an override names what the shell would."""
    (directory / "conf").mkdir()
    write(STREAM + "events: {file: out.jsonl}\n").rename("conf/t.yaml")
    settings = load(Path("conf/t.yaml"))
    assert settings.streams["taxi"].sources[0].path == str(directory / "conf/taxi.csv")
    assert settings.events.file == directory / "conf/out.jsonl"
    assert settings.state_dir == directory / "conf/tidegauge-state"
    assert load(Path("conf/t.yaml"), {"events.file": "out.jsonl"}).events.file == directory / "out.jsonl"


def test_yaml_is_that_of_version_1_2(directory: Path) -> None:
    """What YAML 1.1 takes for booleans and dates is text; an anchor is expanded; BOM and CRLF are fine."""
    settings = load(write(b"\xef\xbb\xbf" + (STREAM + "    format: &f {value: no, series: 2024-01-01}\n").encode()))
    assert (settings.streams["taxi"].format.value, settings.streams["taxi"].format.series) == ("no", "2024-01-01")
    aliased = STREAM + "    alerts: &a {false_alarms_per_month: 5e-1}\n  bus:\n    alerts: *a\n"
    assert load(write(aliased.replace("\n", "\r\n"))).streams["bus"].alerts.false_alarms_per_month == 0.5


def test_an_empty_section_means_its_defaults(directory: Path) -> None:
    """A section whose keys are all commented out is as if it were absent."""
    empty = load(write(STREAM + "    model:\n      # window: 48\nhttp:\n"))
    assert empty == load(write(STREAM))


def test_the_effective_configuration_is_json_and_comes_back_equal(directory: Path) -> None:
    """What is journaled gives the same settings again, with durations and sizes as text."""
    settings = load(write(STREAM + "    warm_up: 1d12h30m\n    interval: 90s\n"))
    config = effective(settings)
    assert config["streams"]["taxi"]["warm_up"] == "2190m"
    assert (config["checkpoint"]["every"], config["limits"]["line_bytes"]) == ("5m", "1MiB")
    assert from_effective(config) == settings


def test_a_change_is_named_with_what_a_reload_needs(directory: Path) -> None:
    """Each key that differs appears once, with its effect; streams that come and go are named as a whole."""
    old = load(write(STREAM + "  bus: {}\n"))
    new = load(write(STREAM + "    interval: 1h\n    model: {copies: 2}\n    gap_after: 4\n  tram: {}\n"))
    assert changes(old, old) == []
    assert changes(old, new) == [
        ("streams.bus", "state"),
        ("streams.taxi.gap_after", "live"),
        ("streams.taxi.interval", "state"),
        ("streams.taxi.model.copies", "retrain"),
        ("streams.tram", "live"),
    ]
    moved = Settings.model_validate({**effective(old), "state_dir": "/elsewhere"})
    assert changes(old, moved) == [("state_dir", "state")]


def test_a_vector_of_another_width_needs_a_new_state(directory: Path) -> None:
    """Other names for as many variables are live, more or fewer variables are not."""
    old, renamed = load(write(STREAM)), load(write(STREAM + "    format: {value: [v]}\n"))
    assert changes(old, renamed) == [("streams.taxi.format.value", "live")]
    wider = load(write(STREAM + "    format: {value: [v, w]}\n"))
    assert changes(renamed, wider) == [("streams.taxi.format.value", "state")]
