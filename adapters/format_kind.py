"""What the registry says of one kind of format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:  # what only reads the configuration need not load numpy
    from adapters.base import DocumentFormat, Format


class FormatChoices(Protocol):
    """What a stream's configuration says of how its readings are written; each format takes what it needs."""

    @property
    def time(self) -> str | list[str]: ...
    @property
    def time_format(self) -> str | None: ...
    @property
    def value(self) -> str | list[str]: ...
    @property
    def series_columns(self) -> str | list[str] | None: ...
    @property
    def quality_column(self) -> str | None: ...
    @property
    def quality_words(self) -> Mapping[str, Sequence[str]]: ...
    @property
    def missing(self) -> Sequence[str | float]: ...
    @property
    def columns(self) -> list[str] | None: ...
    @property
    def delimiter(self) -> str: ...
    @property
    def decimal(self) -> str: ...
    @property
    def thousands(self) -> str | None: ...
    @property
    def unit(self) -> str | None: ...
    @property
    def comment(self) -> str: ...
    @property
    def encoding(self) -> str: ...

    def series_of(self, path: str, otherwise: str) -> str:
        """The name of the series of readings that carry none: as the configuration says, else `otherwise`."""


@dataclass(frozen=True)
class FormatKind:
    """One kind of format.

    Attributes:
        maker: Module and function `made(choices, timezone, series_bytes)`, as `pkgutil.resolve_name` takes them.
        summary: What the configuration's documentation says of it.
        sample: The section `format` of a stream that uses it, as YAML.
        suffixes: Names of files of recorded readings that are read so whatever the stream's own format is.
        carries_names: Whether each line names its values, so that `columns` would have no effect.
        joins_series: Whether `series` may be a list, whose parts are joined.
        document: Whether it needs the whole file, so that no source that gives lines can be read so.
        single: Whether it has one value a reading, wherever that stands, so that `value` names no column.
    """

    maker: str
    summary: str
    sample: str
    suffixes: tuple[str, ...] = ()
    carries_names: bool = False
    joins_series: bool = False
    document: bool = False
    single: bool = False

    def make(self, choices: FormatChoices, timezone: str, series_bytes: int) -> Format | DocumentFormat:
        """The parser; `timezone` is the IANA zone of stamps that name none, `series_bytes` a series' longest name."""
        made: Any = resolve_name(self.maker)
        return cast("Format | DocumentFormat", made(choices, timezone, series_bytes))
