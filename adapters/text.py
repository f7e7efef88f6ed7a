"""Text from outside: what may be a name, and how anything else is shown.

Names of files are bytes, JSON may hold half of a character, and a control or direction mark changes what a terminal
shows of the text around it. A name is printable Unicode, as `str.isprintable` has it: letters of any script, marks,
digits, signs and plain spaces. Whatever else is to be shown is shown escaped: `z\\udce4hler` becomes `z\\xe4hler`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any


def is_name(text: str) -> bool:
    """Whether a text may be a name that is journaled, written as JSON and shown."""
    return text.isprintable() and bool(text.strip(" "))


def printable(text: str, keep: str = "") -> str:
    """The text with everything escaped that is not printable and not in `keep`; valid UTF-8, whatever it was."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # a byte of a file's name that is not UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def shown(value: Any) -> Any:
    """A value of JSON types with every text in it printable; lines and tabs stay, for JSON writes them as escapes."""
    if isinstance(value, str):
        return printable(value, keep="\n\t")
    if isinstance(value, Mapping):
        return {shown(key): shown(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [shown(inner) for inner in value]
    return printable(str(value)) if isinstance(value, PurePath) else value


def series_of(path: PurePath | str) -> str:
    """The series that a file's name stands for: its stem, made printable."""
    return printable(PurePath(path).stem)
