"""What a registry says of one kind of source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

from adapters.extra import Extra

if TYPE_CHECKING:  # what only reads the configuration need not load numpy
    from adapters.base import DocumentFormat, Notice, Source


class Surroundings(NamedTuple):
    """What every source is given beside its own settings."""

    line_bytes: int
    """Longest line; what goes on beyond it is dropped and counted."""
    stdin: BinaryIO
    """The process' standard input."""
    notice: Notice
    """Where it says what it counted."""
    inboxes: Any
    """Where sources of posted bodies are found: an `Inboxes`, which the engine's data must not import."""
    document: DocumentFormat | None = None
    """How a whole file is read, where the stream's format is a document."""
    encoding: str = "auto"
    """How the text of files and of standard input is encoded."""


OWN_LINES: Mapping[str, str] = {"type": "jsonl", "series": "s", "time": "t", "value": "v"}
"""The format of lines that sources make of what comes as something else; one value a reading."""

STREAM = "stream"
"""What a kind `claims` of which a stream has one at most, because its name is all that leads there."""


@dataclass(frozen=True)
class SourceKind:
    """One kind of source.

    Attributes:
        maker: Module and function `made(name, settings, surroundings)`, as `pkgutil.resolve_name` takes them.
        sample: An entry of `sources` that uses it, as YAML.
        beside: Other keys of a stream that go with the sample, each as a line of YAML.
        keys: Which keys of the entry it takes beside `type`.
        needs: Those it cannot do without, each with an example for messages.
        own_lines: Whether, by its settings, it makes lines of its own, which `OWN_LINES` reads, whatever the stream's
            format is.
        claims: The key whose value no two sources may share; "" where there can be one such source only, and `STREAM`
            where there can be one a stream.
        schemes: Those of a `url` that it speaks.
        extra: What it needs that a plain install leaves out.
    """

    maker: str
    sample: str
    beside: tuple[str, ...] = ("interval: 30m",)
    keys: frozenset[str] = frozenset()
    needs: Mapping[str, str] | None = None
    claims: str = ""
    own_lines: Callable[[Any], bool] = lambda _: False
    schemes: tuple[str, ...] = ()
    extra: Extra | None = None

    def make(self, name: str, settings: Any, surroundings: Surroundings) -> Source:
        """A source, not yet open; `settings` has the entry's keys as attributes."""
        made: Any = resolve_name(self.maker)
        return cast("Source", made(name, settings, surroundings))
