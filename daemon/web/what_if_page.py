"""The page on which the past is asked what would have been under another budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from daemon.metrics.collector import Picture
from daemon.presentation.words import instant, plural
from daemon.web.frame_values import filled
from daemon.web.page import event_item

_SHOWN = 20


def what_if_page(picture: Picture, so_far: Mapping[str, Any], writable: bool) -> str:
    """The form, and what came of the newest question.

    Args:
        picture: The newest.
        so_far: As `daemon.web.operator_port.OperatorPort.what_if_so_far` has it; nothing where nobody can ask.
        writable: Whether questions are taken.
    """
    found = so_far.get("found")
    return filled(
        "what_if.html",
        state=so_far.get("state", "none"),
        asked=_asked(so_far["asked"]) if so_far.get("asked") else "",
        error=so_far.get("error"),
        streams=list(picture.streams),
        writable=writable,
        **(_found(found) if found else {}),
    )


def _asked(asked: Mapping[str, Any]) -> str:
    wanted = ", ".join(f"{key.replace('_', ' ')} {value:g}" for key, value in asked["alerts"].items())
    return f"{asked['stream']}: {wanted}" + (f", the last {plural(asked['days'], 'day')}" if asked["days"] else "")


def _found(found: Mapping[str, Any]) -> dict[str, Any]:
    said = (
        f"{instant(found['since'])} to {instant(found['until'])}: {plural(found['events'], 'event')} then, "
        f"{found['events_what_if']} with it; {plural(found['alarms'], 'alarm')} then, "
        f"{found['alarms_what_if']} with it."
    )
    lists = []
    for key in ("gained", "lost"):
        count = len(found[key])
        more = f", {_SHOWN} shown" if count > _SHOWN else ""
        lists.append((f"{key.capitalize()}: {count}{more}", [event_item(each) for each in found[key][:_SHOWN]]))
    days = [each for each in found["days"] if each["alarms"] or each["alarms_what_if"]][-_SHOWN:]
    return {
        "said": said,
        "days": [(instant(each["at"])[:10], each["alarms"], each["alarms_what_if"]) for each in days],
        "lists": lists,
        "notes": found["notes"],
    }
