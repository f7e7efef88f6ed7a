"""Whatever the file holds, the reader answers with settings or with lines; nothing else escapes it."""

from __future__ import annotations

from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from daemon.config import sample
from daemon.config.file import ConfigError, effective, from_effective, load
from tests.daemon.config.broken import STREAM

quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
values = st.recursive(
    st.sampled_from(["1", "0", "-1", "1e999", ".nan", "30m", "1:30", "yes", "~", "''", "'a'", "*x", "&x a", "!!int x"])
    | st.sampled_from(
        ["!!float nan", "!!null x", '"\\ud800"', '"\\0"', "9" * 30, "9" * 5000, "2024-01-01", "[[[", "<<"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(st.sampled_from(["path", "type", "window", "a"]), inner, max_size=2).map(
            lambda items: f"{{{', '.join(f'{key}: {value}' for key, value in items.items())}}}"
        )
    ),
    max_leaves=4,
)


def answers(path: Path) -> None:
    try:
        read = load(path)
    except ConfigError as error:
        assert error.problems
        for line in str(error).splitlines():
            assert line.startswith(f"{path}:")
            assert line.isprintable()
        assert len(str(error).splitlines()) == len(error.problems)
    else:
        assert from_effective(effective(read)) == read


@quick
@given(content=st.binary(max_size=200))
def test_bytes(tmp_path: Path, content: bytes) -> None:
    """Arbitrary bytes give settings or one printable line for each mistake."""
    path = tmp_path / "t.yaml"
    path.write_bytes(content)
    answers(path)


@quick
@given(data=st.data())
def test_any_value_of_any_key(tmp_path: Path, data: st.DataObject) -> None:
    """Each key of the sample, given an arbitrary value, gives settings or printable lines."""
    lines = sample.sample().splitlines()
    places = [number for number, line in enumerate(lines) if ":" in line and "##" not in line and line[:2] != "# "]
    for number in data.draw(st.lists(st.sampled_from(places), min_size=1, max_size=2)):
        key = lines[number].replace("# ", "", 1).partition(":")[0]
        lines[number] = f"{key}: {data.draw(values)}"
    path = tmp_path / "t.yaml"
    path.write_text("\n".join(lines))
    answers(path)


@quick
@given(cut=st.integers(0, len(STREAM)), inserted=st.text(max_size=5))
def test_any_slip_of_the_keyboard(tmp_path: Path, cut: int, inserted: str) -> None:
    """A good file with something inserted anywhere gives settings or printable lines."""
    path = tmp_path / "t.yaml"
    path.write_text(STREAM[:cut] + inserted + STREAM[cut:], encoding="utf-8", errors="replace")
    answers(path)


def test_the_sample_with_a_slip_points_at_its_line(tmp_path: Path) -> None:
    """The line number is that of the key in the file, comments and all."""
    path = tmp_path / "t.yaml"
    text = sample.sample().replace("interval: 30m", "interval: 30")
    path.write_text(text)
    number = text.splitlines().index("    interval: 30") + 1
    with pytest.raises(ConfigError, match=f"t.yaml:{number}: streams.readings.interval is 30, "):
        load(path)
