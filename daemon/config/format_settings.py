"""The configuration of a stream's format: what a line or a document says, and where in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError, field_validator, model_validator

from adapters.formats.format_registry import FORMATS
from adapters.text import printable
from daemon.config.sections import ConflictError, Section, live

if TYPE_CHECKING:
    FormatType = str
else:
    FormatType = Literal[tuple(FORMATS)]


class SeriesSettings(Section):
    """A series' name that no column has."""

    name: str | None = live(None, "One name for all readings.", min_length=1, max_length=256)
    path: str | None = live(
        None, "Regular expression, searched for in the file's path; its group `series`, or its first, is the name."
    )

    @field_validator("path")
    @classmethod
    def _expression(cls, path: str | None) -> str | None:
        if path is None:
            return None
        try:
            compiled = re.compile(path)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        if not compiled.groups:
            raise ValueError(r"an expression without a group; write one such as (?P<series>meter-\d+)/")
        return path

    @model_validator(mode="after")
    def _one_of_both(self) -> SeriesSettings:
        if (self.name is None) == (self.path is None):
            raise ConflictError("", "is neither a column nor one of name and path; set one of them")
        return self

    def of(self, path: str) -> str:
        """The name for readings of a file; "" where the path does not show one."""
        if self.path is None:
            return self.name or ""
        match = re.search(self.path, path)
        return "" if match is None else match["series" if "series" in match.re.groupindex else 1] or ""


class QualitySettings(Section):
    """A column of qualities whose words are not the usual ones."""

    column: str = live(..., "Column or key of the quality.", min_length=1)
    actual: list[str] = live([], "Its words for a measured value.")
    estimated: list[str] = live([], "Its words for an estimated value.")
    substituted: list[str] = live([], "Its words for a value put in place of another.")
    missing: list[str] = live([], "Its words for a value that is not there.")


class FormatSettings(Section):
    type: FormatType = live("csv", f"{', '.join(kind.summary for kind in FORMATS.values())}.")
    time: str | list[str] = live(
        "timestamp",
        "Column or key of the time stamp, or `[date, time]` where two have it; `influx` has its own place for it.",
    )
    time_format: str | None = live(
        None,
        "How stamps are written, as in strptime: `%d/%m/%Y %H:%M` has the day first, `%I:%M %p` a 12-hour clock; "
        "`excel` for numbers of days. None: ISO 8601, digits alone such as 202405011030, or seconds to nanoseconds "
        "since 1970.",
    )
    value: str | list[str] = live(
        "value",
        "Column, key or field of the value; a list of them for a vector. For `wide` what its columns of "
        "periods begin with.",
    )
    series: str | list[str] | SeriesSettings | None = live(
        None,
        r"Column or key of the series' name; for `influx` a tag or a list of tags. `{name: main}` is one name for all "
        r"readings, `{path: '(?P<series>meter-\d+)/'}` takes it from the file's path. None: the file's stem or "
        "the kind of listener; for `influx` the measurement with all tags.",
    )
    quality: str | QualitySettings | None = live(
        None,
        "Column or key that says whether a value is actual, estimated, substituted or missing; with words of its own: "
        "`{column: flag, estimated: [X]}`, and so `actual`, `substituted`, `missing`.",
    )
    missing: list[str | float] = live(
        [], 'Numbers and texts that stand for a value that is not there, such as `[-999, "n/a"]`.'
    )
    columns: list[str] | None = live(
        None, "Column names of a CSV without a header line; none: the first line that has those named here."
    )
    delimiter: str = live(",", "Separator of CSV columns, one character.", min_length=1, max_length=1)
    decimal: Literal[".", ","] = live(".", "Decimal separator of CSV numbers.")
    thousands: Literal[",", ".", " ", "'"] | None = live(
        None, "What stands between groups of three digits; none: nothing."
    )
    unit: str | None = live(None, "What stands behind numbers, such as kWh; none: nothing.", min_length=1)
    comment: str = live("#", 'CSV lines that begin so are left out; `""`: none are.', max_length=8)
    encoding: Literal["auto", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"] = live(
        "auto", "How the text of files is encoded; `auto`: UTF-16 where a byte order mark says so, else UTF-8."
    )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of a reading's variables."""
        return (self.value,) if isinstance(self.value, str) else tuple(self.value)

    @property
    def width(self) -> int:
        """Number of variables of a reading."""
        return 1 if FORMATS[self.type].single else len(self.names)

    @property
    def series_columns(self) -> str | list[str] | None:
        """The column, key or tags of the series' name; None where no such has it."""
        return None if isinstance(self.series, SeriesSettings) else self.series

    @property
    def quality_column(self) -> str | None:
        """The column or key of the quality."""
        return self.quality.column if isinstance(self.quality, QualitySettings) else self.quality

    @property
    def quality_words(self) -> Mapping[str, Sequence[str]]:
        """Words for each quality that are not the usual ones."""
        return self.quality.model_dump(exclude={"column"}) if isinstance(self.quality, QualitySettings) else {}

    @property
    def headed(self) -> bool:
        """Whether lines begin with one that names their columns."""
        kind = FORMATS[self.type]
        return self.columns is None and not kind.carries_names and not kind.document

    def series_of(self, path: str, otherwise: str) -> str:
        """The series of readings that carry none: as the configuration says, else `otherwise`."""
        return printable(self.series.of(path)) if isinstance(self.series, SeriesSettings) else otherwise

    @field_validator("value", mode="before")
    @classmethod
    def _one_or_more_names(cls, value: Any) -> Any:
        if not _are_names(value):
            raise ValueError("not a column's name, nor a list of them; write a name, or [name, name] for a vector")
        return value

    @field_validator("time", mode="before")
    @classmethod
    def _one_or_two_names(cls, time: Any) -> Any:
        if not _are_names(time) or (isinstance(time, list) and len(time) > 2):
            raise ValueError("not a column's name, nor two; write a name, or [date, time] where two columns have it")
        return time

    @field_validator("time_format")
    @classmethod
    def _readable(cls, pattern: str | None) -> str | None:
        from adapters.formats.clock_text import Pattern

        if pattern is not None and pattern != "excel":
            Pattern(pattern)
        return pattern

    @field_validator("series", mode="before")
    @classmethod
    def _none_or_names(cls, series: Any) -> Any:
        if series is None or isinstance(series, (dict, SeriesSettings)) or _are_names(series):
            return _section(SeriesSettings, series)
        raise ValueError("not a column's name, nor a list of tags; write a name, or [tag, tag] for influx")

    @field_validator("quality", mode="before")
    @classmethod
    def _none_or_name(cls, quality: Any) -> Any:
        if quality is None or isinstance(quality, (dict, QualitySettings)) or (isinstance(quality, str) and quality):
            return _section(QualitySettings, quality)
        raise ValueError("not a column's name; write a name, or {column: name, estimated: [E]}")

    @field_validator("missing", mode="before")
    @classmethod
    def _texts_and_numbers(cls, missing: Any) -> Any:
        each_fits = isinstance(missing, list) and all(
            isinstance(each, (str, int, float)) and not isinstance(each, bool) for each in missing
        )
        if not each_fits:
            raise ValueError('not a list of numbers and texts; write one such as [-999, "n/a"]')
        return missing

    @model_validator(mode="after")
    def _columns_possible(self) -> FormatSettings:
        if self.delimiter == self.decimal:
            raise ConflictError(
                "decimal", f"and delimiter are both {self.decimal!r}; set delimiter: ';' or decimal: '.'"
            )
        if self.thousands == self.decimal:
            raise ConflictError("thousands", f"and decimal are both {self.decimal!r}; set decimal: ',' or remove one")
        if FORMATS[self.type].single and not isinstance(self.value, str):
            raise ConflictError("value", f"is a list, but a reading of {self.type} has one value; remove it")
        used = self._used()
        for name in used:
            if used.count(name) > 1:
                raise ConflictError(
                    "", f"uses column {name!r} twice; give time, series and each value a column of its own"
                )
        if self.columns is None:
            return self
        if FORMATS[self.type].carries_names:
            raise ConflictError(
                "columns", f"is set, but lines of {self.type} carry their own names; remove columns or set type: csv"
            )
        for name in used:
            if self.columns.count(name) != 1:
                raise ConflictError(
                    "columns", f"has {name!r} {self.columns.count(name)} times; list each column once, in order"
                )
        return self

    def _used(self) -> list[str]:
        """Names of columns, keys or fields that must differ from each other."""
        if FORMATS[self.type].joins_series:  # a tag may have the name of a field
            return list(self.names)
        series = self.series_columns
        if isinstance(series, list):
            raise ConflictError("series", "is a list, but only influx joins tags; name one column or key")
        times = [self.time] if isinstance(self.time, str) else self.time
        return [*times, *self.names, *(name for name in (series, self.quality_column) if name is not None)]


def _are_names(value: Any) -> bool:
    """Whether `value` is a name or a list of them, at least one."""
    names = value if isinstance(value, list) else [value]
    return bool(names) and all(isinstance(name, str) and name for name in names)


def _section(kind: type[Section], given: Any) -> Any:
    """A section out of its keys, so that what is wrong with one is said of it and of no other choice."""
    if not isinstance(given, dict):
        return given
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        detail = error.errors()[0]
        key, cause = ".".join(map(str, detail["loc"])), detail.get("ctx", {}).get("error")
        if isinstance(cause, ConflictError):
            raise ConflictError(key or cause.key, cause.text) from None
        if detail["type"] == "extra_forbidden":
            raise ConflictError(key, f"is not a known key; use one of {', '.join(kind.model_fields)}") from None
        if detail["type"] == "missing":
            raise ConflictError(key, "is missing; add it") from None
        raise ConflictError(key, f"is {detail['input']!r}, {cause or detail['msg']}") from None
