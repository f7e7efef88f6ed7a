"""Which networks an ensemble is made of, and how its configuration says so."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import orjson

from models.architecture_names import ENSEMBLE
from models.network_config import NetworkConfig, options


@dataclass(frozen=True)
class Member:
    """One network of an ensemble.

    Attributes:
        name: What events call it.
        architecture: Its name in `models.architectures`.
        network: Its shapes.
        weight: What its errors count; the members' sum is 1.
    """

    name: str
    architecture: str
    network: NetworkConfig
    weight: float


def members_option(members: list[Member]) -> str:
    """The members as the text that an ensemble's option `members` is."""
    rows = [asdict(member) | {"network": _network_row(member.network)} for member in members]
    return orjson.dumps(rows, option=orjson.OPT_SORT_KEYS).decode()


def _network_row(config: NetworkConfig) -> dict[str, Any]:
    return asdict(config) | {"options": dict(config.options)}


def members_of(config: NetworkConfig) -> list[Member]:
    """The members of an ensemble's configuration.

    Raises:
        ValueError: It names none, or they cannot be together.
    """
    given = dict(config.options)
    if set(given) != {"members"}:
        raise ValueError(f"an ensemble has the option members and no other, but was given {sorted(given)}")
    try:
        members = [
            Member(
                row["name"],
                row["architecture"],
                NetworkConfig(**(row["network"] | {"options": options(row["network"]["options"])})),
                float(row["weight"]),
            )
            for row in orjson.loads(str(given["members"]))
        ]
    except (orjson.JSONDecodeError, TypeError, KeyError) as error:
        raise ValueError(f"an ensemble's members cannot be read: {error}") from error
    for member in members:
        if member.architecture == ENSEMBLE or member.network.window > config.window:
            raise ValueError(f"member {member.name} is an ensemble itself, or its window is above {config.window}")
        if (member.network.width, member.network.interval_s) != (config.width, config.interval_s):
            raise ValueError(f"member {member.name} has another width or interval than the ensemble")
    if not members:
        raise ValueError("an ensemble needs members")
    return members
