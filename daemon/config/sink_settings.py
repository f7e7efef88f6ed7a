"""The configuration's section `events`: where events go besides the store's table."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import field_validator

from daemon.config.sections import Section, live
from daemon.config.units import Duration

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+:[ \t]*[\x20-\x7e]*")
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*")


class AddressSettings(Section):
    """What sinks have in common whose other side is an HTTP server."""

    url: str | None = live(None, "Address, http:// or https://; none: this one is off.")
    send: Literal["notify", "all"] = live(
        "notify",
        "`notify`: revisions that should wake somebody, and the end of such episodes; `all`: every revision.",
    )
    headers: list[str] = live([], "Headers sent along, such as `Authorization: Bearer abc`.")
    ca: str | None = live(
        None, "File with authorities (PEM) of the server's certificate; none: those of the system are trusted."
    )
    timeout: Duration = live(10, "How long a request may take in all.", ge=1, le=300)
    outbox: int = live(
        10_000, "Revisions that wait while the other side is away; beyond, the oldest are left out and counted.", ge=1
    )

    @field_validator("url")
    @classmethod
    def _address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        try:
            parts = urlsplit(url)
            fine = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:
            fine = False
        if not fine or re.search(r"\s", url):
            raise ValueError("not an address; write http://host:port/path or https://...")
        return url

    @field_validator("headers")
    @classmethod
    def _named(cls, headers: list[str]) -> list[str]:
        if any(not _HEADER.fullmatch(header) for header in headers):
            raise ValueError("not a list of headers; write each as 'Name: value'")
        return headers


class WebhookSettings(AddressSettings):
    body: str | None = live(
        None,
        "Jinja2 template of what is posted, over the keys of an event; none: the event as JSON.",
    )
    content_type: str = live("application/json", "What the body is.")
    secret_file: str | None = live(None, "File with the secret that signs each body (HMAC-SHA256); none: no signature.")


class AlertmanagerSettings(AddressSettings):
    labels: list[str] = live([], "Labels added to every alert, such as severity=warning.")
    resend: Duration = live(60, "How often what is open is told again; without that an alert ends after four.", ge=1)
    link: str | None = live(None, "Address that an alert leads to, such as that of Tidegauge's page.")

    @field_validator("labels")
    @classmethod
    def _pairs(cls, labels: list[str]) -> list[str]:
        for label in labels:
            if not _LABEL.fullmatch(label):
                raise ValueError(f"not a list of labels: {label!r} is none; write name=value")
            if label.partition("=")[0] in ("alertname", "stream", "series"):
                raise ValueError(f"not a list of labels to add: {label.partition('=')[0]} is the alert's own")
        return labels


class EventSettings(Section):
    file: Path | None = live(None, "JSON-lines file that events are appended to; none: no file.")
    stdout: bool = live(True, "Whether events are printed on standard output.")
    webhook: list[WebhookSettings] = live([], "Addresses that each event is posted to.")
    alertmanager: list[AlertmanagerSettings] = live([], "Alertmanagers of Prometheus that are told what is odd.")
