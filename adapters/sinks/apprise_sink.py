"""Events as notifications to whatever Apprise knows: chats, phones, mail. An extra: `tidegauge[apprise]`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import orjson

from adapters.sinks.contract import Opening, PartlyError
from adapters.sinks.gist import figures, instant, summary
from adapters.text import printable


class AppriseSink:
    """Notifies one address of Apprise, an event each, in order.

    The title is a sentence, `pier of tide is odd`; the text has a line each for stream, series, reasons, since when,
    the figures and the event's id. Apprise does not say whether a service would ever take what it did not take, so
    that is tried again until it does.

    Args:
        url: Where to, as Apprise writes addresses (`tgram://...`, `mailto://...`); it often holds a secret, so nothing
            that is said has it.
        timeout_s: How long one notification may take.

    Raises:
        OSError: Apprise is not installed, or knows no such address.
    """

    def __init__(self, url: str, timeout_s: float = 10.0) -> None:
        try:
            import apprise
        except ImportError as error:
            raise OSError(f"apprise cannot be imported: {error}") from None
        logging.getLogger("apprise").propagate = False  # what it says comes with each result
        self._people, self._timeout_s = apprise.Apprise(), timeout_s
        self._types = apprise.NotifyType
        if not self._people.add(url):
            raise OSError(f"apprise knows no such address as this {url.partition(':')[0]}:// one")

    def deliver(self, lines: list[bytes]) -> None:
        """See `Sink.deliver`."""
        for done, line in enumerate(lines):
            try:
                self._notify(orjson.loads(line))
            except OSError as error:
                raise PartlyError(done, str(error)) from None

    def _notify(self, event: Mapping[str, Any]) -> None:
        closed = event["state"] == "closed"
        kind = self._types.SUCCESS if closed else self._types.FAILURE if event["notify"] else self._types.INFO
        title, text = printable(summary(event, event["state"])), _text(event)
        with self._people.notify(body=text, title=title, notify_type=kind, timeout=self._timeout_s) as result:
            if not result:
                said = [entry.message for entry in result.logs()]
                raise OSError(said[-1] if said else f"not taken: {result.status.name.lower()}")

    def status(self) -> Mapping[str, float]:
        """Nothing is ever left out."""
        return {}

    def close(self) -> None:
        """Nothing to release."""


def _text(event: Mapping[str, Any]) -> str:
    said = {"stream": event["stream"], "series": event["series"] or "", "reasons": ", ".join(event["reasons"])}
    said |= {"since": instant(event["started_at"]), **figures(event), "event": event["id"]}
    return "\n".join(f"{name}: {printable(value)}" for name, value in said.items() if value)


def made(settings: Any, opening: Opening) -> AppriseSink:
    """As an entry of `events.apprise` has it."""
    return AppriseSink(settings.url.get_secret_value(), settings.timeout)
