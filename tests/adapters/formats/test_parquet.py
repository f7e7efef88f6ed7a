"""Parquet files are read by the rules of lines: the same cells as CSV give the same readings and rejections."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.base import DocumentError, Readings
from adapters.formats.csv import CsvFormat
from adapters.formats.parquet import ParquetFormat

ZONE = "America/New_York"
stamps = st.sampled_from(
    [
        "2024-05-01 10:30:00",
        "2024-05-01T10:30",
        "2024-11-03 01:30:00",  # twice
        "2024-03-10 02:30:00",  # never
        "2024-05-01T10:30:00Z",
        "1714559400",
        "yesterday",
        "",
    ]
)
numbers = st.sampled_from(["1.5", "-0", "1e300", "nan", "inf", "", "one", "1_0"])
series = st.sampled_from(["a", "b", "", "ä"])


def written(path: Path, columns: dict[str, object]) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def whole(path: Path, fmt: ParquetFormat) -> Readings:
    (found,) = fmt.read(path)
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(stamps, numbers, series), min_size=1, max_size=12))
def test_text_cells_are_read_as_in_a_csv(
    tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, ...]]
) -> None:
    """Stamps, values and series as text: equal readings and equal reasons, row for row."""
    path = tmp_path_factory.mktemp("parquet") / "meter.parquet"
    at, value, series = (list(column) for column in zip(*cells, strict=True))
    written(path, {"timestamp": at, "value": value, "meter": series})
    found = whole(path, ParquetFormat("timestamp", ["value"], ["meter"], ZONE))
    text = "timestamp,value,meter\n" + "".join(f"{a},{v},{m}\n" for a, v, m in cells)
    expected, _ = CsvFormat(series="meter", timezone=ZONE).parse(text.encode(), "meter", None)
    for name in ("series", "rejected"):
        one, other = getattr(found, name), getattr(expected, name)
        assert (one() if callable(one) else one) == (other() if callable(other) else other)
    for name in ("codes", "at_ms", "fold_s", "values", "bad_reasons"):
        assert getattr(found, name).tolist() == getattr(expected, name).tolist()


def test_stamps_of_every_type_are_the_same_instants(tmp_path: Path) -> None:
    """Instants of any unit, local times, epoch seconds and dates; one that is missing is bad_time."""
    at = [datetime(2024, 5, 1, 14, 30, tzinfo=UTC), datetime(2024, 5, 2, 14, 30, tzinfo=UTC), None]
    local = [None if each is None else each.replace(hour=10, tzinfo=None) for each in at]
    seconds = [None if each is None else int(each.timestamp()) for each in at]
    columns = {
        "ns": pa.array(at, pa.timestamp("ns", "Europe/Berlin")),
        "s": pa.array(at, pa.timestamp("s", "UTC")),
        "local": pa.array(local, pa.timestamp("us")),
        "epoch": pa.array(seconds, pa.int64()),
        "float": pa.array(seconds, pa.float64()),
    }
    path = written(tmp_path / "m.parquet", {**columns, "value": [1, 2, 3]})
    for name in columns:
        found = whole(path, ParquetFormat(name, ["value"], timezone=ZONE))
        assert found.at_ms.tolist() == [each * 1000 for each in seconds[:2] if each is not None], name
        assert found.rejected() == {"bad_time": 1}
    day = written(tmp_path / "d.parquet", {"at": pa.array([datetime(2024, 5, 1)], pa.date32()), "value": [1.0]})
    assert whole(day, ParquetFormat("at", ["value"])).at_ms.tolist() == [1_714_521_600_000]


def test_values_and_labels_of_every_type(tmp_path: Path) -> None:
    """Numbers of any width make a vector; null, not finite and truth values are rejected; series may be numbers."""
    columns = {
        "timestamp": [1_704_067_200 + 60 * i for i in range(4)],
        "small": pa.array([1, 2, None, 4], pa.int8()),
        "single": pa.array([0.5, np.inf, 1, 2], pa.float32()),
        "site": pa.array(["x", "x", "x", "y"]).dictionary_encode(),
        "meter": pa.array([7, 7, 7, 8]),
        "flag": [True, False, True, False],
    }
    path = written(tmp_path / "m.parquet", columns)
    found = whole(path, ParquetFormat("timestamp", ["small", "single"], ["site", "meter"]))
    assert found.series == ["x,7", "y,8"]
    assert found.values.tolist() == [[1, 0.5], [4, 2]]
    assert found.rejected() == {"missing_value": 1, "not_finite": 1}
    assert whole(path, ParquetFormat("timestamp", ["flag"])).rejected() == {"bad_value": 4}
    assert whole(path, ParquetFormat("timestamp", ["small"], ["single"])).rejected() == {"bad_series": 4}


def test_what_is_no_such_file_is_one_line(tmp_path: Path) -> None:
    """A missing column is named with those there are, a damaged file with what is wrong; none at all is an OSError."""
    path = written(tmp_path / "m.parquet", {"at": [0], "value": [1.0]})
    with pytest.raises(DocumentError, match="has no column timestamp; it has at, value"):
        list(ParquetFormat("timestamp", ["value"]).read(path))
    path.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(DocumentError, match=r"m.parquet: not a Parquet file that can be read: .+"):
        list(ParquetFormat("at", ["value"]).read(path))
    with pytest.raises(FileNotFoundError):
        list(ParquetFormat("at", ["value"]).read(tmp_path / "none.parquet"))
