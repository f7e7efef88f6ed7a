"""Days that count as Sundays: public holidays of a country, and single dates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

if TYPE_CHECKING:
    from holidays import HolidayBase


class Holidays:
    """A set of days.

    Args:
        names: Each a country's code, or a country's and a part's (ISO 3166: `DE`, `DE-BY`), or a date (`2026-12-24`).

    Raises:
        ValueError: One of them is none of these.

    Source:
        The package `holidays` knows the countries' laws, for years from about 1950 to 2100.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._dates = {date.fromisoformat(name) for name in names if _is_date(name)}
        self._countries = [_country(name) for name in names if not _is_date(name)]

    def __contains__(self, day: date) -> bool:
        return day in self._dates or any(day in country for country in self._countries)


def _is_date(name: str) -> bool:
    return re.fullmatch(r"\d{4}-\d\d-\d\d", name) is not None


def _country(name: str) -> HolidayBase:
    from holidays import country_holidays, list_supported_countries  # 0.1 s that most configurations do not need

    country, hyphen, part = name.partition("-")
    parts = list_supported_countries(include_aliases=False).get(country)
    if parts is None or (hyphen and part not in parts):
        raise ValueError("not a country, or a part of one, whose holidays are known")
    return country_holidays(country, subdiv=part or None)


def _known(name: str) -> str:
    try:
        Holidays([name])
    except ValueError:
        raise ValueError(
            "not a country or a date; write an ISO code such as DE or DE-BY, or a day such as 2026-12-24"
        ) from None
    return name


Holiday = Annotated[str, AfterValidator(_known)]
"""A name that `Holidays` takes."""
