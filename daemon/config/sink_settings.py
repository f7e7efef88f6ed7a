"""The configuration's section `events`: where events go besides the store's table."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import SecretStr, field_validator, model_validator

from adapters.name_template import template
from daemon.config.addresses import NO_TLS, NO_USER, is_address, is_secured
from daemon.config.sections import ConflictError, Section, live
from daemon.config.units import Duration

Facility = Literal[
    "user", "daemon", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"
]  # fmt: skip
FILE_KEYS = frozenset({"ca", "secret_file", "certificate", "key"})
"""Keys of a sink that name a file, which is read again at each reload."""

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+:[ \t]*[\x20-\x7e]*")
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*")


class AddressSettings(Section):
    """What has another server on its other side."""

    schemes: ClassVar[tuple[str, ...]] = ()
    bare: ClassVar[bool] = True

    url: str | None = live(None, "Address; none: this one is off.")
    ca: str | None = live(
        None, "File with authorities (PEM) of the server's certificate; none: those of the system are trusted."
    )
    timeout: Duration = live(10, "How long one delivery may take in all.", ge=1, le=300)

    @field_validator("url")
    @classmethod
    def _address(cls, url: str | None) -> str | None:
        if url is not None and not is_address(url, cls.schemes, bare=cls.bare):
            forms = " or ".join(f"{each}://host:port" for each in cls.schemes)
            raise ValueError(f"not an address; write {forms}" + ", without user and path" * cls.bare)
        return url

    @model_validator(mode="after")
    def _of_tls(self) -> Self:
        for name in ("ca", "certificate", "key"):
            if getattr(self, name, None) is not None and self.url is not None and not is_secured(self.url):
                raise ConflictError(name, NO_TLS.format(url=self.url))
        return self


class OutboxSettings(Section):
    """Which events a sink is given, and how many wait for it."""

    send: Literal["notify", "all"] = live(
        "notify",
        "`notify`: revisions that should wake somebody, and the end of such episodes; `all`: every revision.",
    )
    severity: Literal["info", "warning", "critical"] = live(
        "info", "Least severity of what is sent; an event that becomes more severe is sent from then on."
    )
    outbox: int = live(
        10_000, "Revisions that wait while the other side is away; beyond, the oldest are left out and counted.", ge=1
    )


class ShownSettings(AddressSettings):
    """What sinks have in common that can show a certificate of their own."""

    certificate: str | None = live(
        None, "File with a certificate chain (PEM) of this side, for a server that asks for one; none: none is shown."
    )
    key: str | None = live(None, "File with its private key (PEM); none: it is in the certificate's file.")

    @model_validator(mode="after")
    def _of_certificate(self) -> Self:
        if self.key is not None and self.certificate is None:
            raise ConflictError("key", "is set, but certificate is not; add certificate or remove it")
        return self


class HttpAddressSettings(AddressSettings):
    """What has an HTTP server on its other side."""

    schemes = ("http", "https")
    bare = False

    url: str | None = live(None, "Address, http:// or https://; none: this one is off.")
    headers: list[str] = live([], "Headers sent along, such as `Authorization: Bearer abc`.")

    @field_validator("headers")
    @classmethod
    def _named(cls, headers: list[str]) -> list[str]:
        if any(not _HEADER.fullmatch(header) for header in headers):
            raise ValueError("not a list of headers; write each as 'Name: value'")
        return headers


class WebhookSettings(OutboxSettings, HttpAddressSettings):
    body: str | None = live(
        None,
        "Jinja2 template of what is posted, over the keys of an event; none: the event as JSON.",
    )
    content_type: str = live("application/json", "What the body is.")
    secret_file: str | None = live(None, "File with the secret that signs each body (HMAC-SHA256); none: no signature.")


class AlertmanagerSettings(OutboxSettings, HttpAddressSettings):
    labels: list[str] = live(
        [], "Labels added to every alert, such as team=water; severity=warning stands for its own."
    )
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


class SyslogSettings(OutboxSettings, ShownSettings):
    schemes = ("udp", "tcp", "tls")

    url: str | None = live(
        None, "Receiver, udp://, tcp:// or tls:// with a host, and a port unless it is 514 or, of TLS, 6514; none: off."
    )
    facility: Facility = live("daemon", "Facility of the messages.")


class MqttSettings(OutboxSettings, ShownSettings):
    schemes = ("mqtt", "mqtts")

    url: str | None = live(None, "Broker, mqtt:// or, over TLS, mqtts://; none: this one is off.")
    topic: str = live(
        "tidegauge/{stream}/{series}", "Topic, text with {stream}, {series}, {id} and {state}.", min_length=1
    )
    retain: bool = live(False, "Whether the broker keeps the last message of each topic.")
    protocol: Literal["5", "3.1.1"] = live("5", "Version of MQTT.")
    client: str | None = live(None, "Client identifier; none: the broker chooses one.", min_length=1)
    user: str | None = live(None, "User at the broker; none: it asks for none.")
    password: SecretStr | None = live(None, "Password at the broker, best written as ${NAME}.")

    @model_validator(mode="after")
    def _of_user(self) -> Self:
        if self.password is not None and self.user is None:
            raise ConflictError("password", NO_USER)
        return self

    @field_validator("topic")
    @classmethod
    def _publishable(cls, topic: str) -> str:
        if "{" in topic:
            template(topic)
        unknown = set(re.findall(r"\{(\w*)\}", topic)) - {"stream", "series", "id", "state"}
        if unknown or re.search(r"[+#\0]", topic):
            raise ValueError("not a topic; write text with {stream}, {series}, {id} or {state}, without + and #")
        return topic


class ServiceSettings(Section):
    """An address of Apprise."""

    url: SecretStr | None = live(
        None,
        "Address as Apprise writes it, such as tgram://TOKEN/CHAT, best written as ${NAME}; none: this one is off.",
    )
    timeout: Duration = live(10, "How long one notification may take.", ge=1, le=300)

    @field_validator("url")
    @classmethod
    def _scheme(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not re.fullmatch(r"[a-z][a-z0-9]*://\S+", url.get_secret_value(), re.IGNORECASE):
            raise ValueError("not an address of Apprise; write SERVICE://..., as its documentation has it")
        return url


class AppriseSettings(OutboxSettings, ServiceSettings):
    """Which events it is told."""


class EventSettings(Section):
    file: Path | None = live(None, "JSON-lines file that events are appended to; none: no file.")
    stdout: bool = live(True, "Whether events are printed on standard output.")
    webhook: list[WebhookSettings] = live([], "Addresses that each event is posted to.")
    alertmanager: list[AlertmanagerSettings] = live([], "Alertmanagers of Prometheus that are told what is odd.")
    syslog: list[SyslogSettings] = live([], "Receivers of syslog (RFC 5424) that are sent each event.")
    mqtt: list[MqttSettings] = live([], "MQTT brokers that each event is published to.")
    apprise: list[AppriseSettings] = live([], "Addresses of Apprise (the extra `apprise`) that are notified.")
