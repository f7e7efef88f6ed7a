"""The configuration of a source: where readings come from, and what its peers may do."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import TYPE_CHECKING, Literal

from pydantic import SecretStr, ValidationInfo, field_validator, model_validator

from adapters.name_template import template
from adapters.source_registry import SOURCES
from adapters.uploads.selector import selector
from daemon.config.addresses import HINT, NO_TLS, NO_USER, is_address, is_secured, split_address
from daemon.config.sections import ConflictError, Section, live
from daemon.config.units import Duration, Size

_SUBJECT = re.compile(r"(?:[^\s.*>]+|\*)(?:\.(?:[^\s.*>]+|\*))*(?:\.>)?|>")
_CONSUMER = re.compile(r"[^\s.*>/\\]+")
_TOPIC = re.compile(r"[A-Za-z0-9._-]+")
_FILTER = re.compile(r"(?:[^+#\0/]*|\+)(?:/(?:[^+#\0/]*|\+))*(?:/#)?|#")

if TYPE_CHECKING:
    Kind = str
else:
    Kind = Literal[tuple(SOURCES)]


class TlsSettings(Section):
    certificate: str | None = live(
        None, "File with the certificate chain (PEM) that is shown to the other side; none: no TLS on `tcp`."
    )
    key: str | None = live(None, "File with its private key (PEM); none: it is in the certificate's file.")
    client_ca: str | None = live(
        None,
        "File with authorities (PEM), one of which must have signed a peer's certificate; none: peers need none.",
    )

    @model_validator(mode="after")
    def _certificate_first(self) -> TlsSettings:
        for name in ("key", "client_ca"):
            if self.certificate is None and getattr(self, name) is not None:
                raise ConflictError(
                    name, "is set, but certificate is not, so there would be no TLS; add certificate or remove it"
                )
        return self


class SourceSettings(Section):
    type: Kind = live(
        "file",
        "`file` tails files, `stdin` reads standard input to its end; `tcp`, `udp` and `unix` listen for senders; "
        "`http` takes what is posted to the HTTP server, `prometheus` what is sent to it by remote write; `mqtt`, "
        "`nats` and `kafka` take the messages of a broker.",
    )
    path: str | None = live(
        None, "File to tail, or a glob such as /var/spool/meters/*.csv; for `unix` the socket's path."
    )
    listen: str | None = live(None, "Address and port that `tcp` or `udp` listens on; port 0 picks a free one.")
    allow: list[str] = live(
        ["127.0.0.0/8", "::1/128"], "Networks that `tcp` and `udp` take peers from; others are refused and counted."
    )
    max_connections: int = live(
        256, "Connections at once; further ones displace idle ones or are refused.", ge=1, le=10_000
    )
    line_timeout: Duration = live(30, "A line that takes longer to arrive ends its connection.", ge=1)
    idle_timeout: Duration = live(3600, "A connection on which nothing arrives for so long is closed.", ge=1)
    ack: bool = live(False, "Whether a peer is told `ok <lines so far>` once its lines are durable.")
    mode: str = live("0660", "Permissions of a `unix` socket, octal digits in quotes.")
    group: str | None = live(None, "Group of a `unix` socket; none: the daemon's.")
    body_bytes: Size = live(
        16 << 20, "Longest body that is taken, as it is sent and as it is unpacked.", ge=1024, le=1 << 28
    )
    match: list[str] = live(
        [], 'Selectors such as node_load1 or {job="node"}, one of which must take a `prometheus` series; none: all.'
    )
    series: str | None = live(
        None,
        "Name of a series: of `prometheus`, text with {label}; none: as Prometheus shows it, name and labels. Of "
        "`mqtt`, text with {topic}, {level1}, {level2}, ...; none: the topic. Of `nats`, text with {subject}, "
        "{token1}, {token2}, ...; none: the subject. Of `kafka`, text with {topic} and {key}; none: the key, "
        "or the topic.",
    )
    tls: TlsSettings = live(TlsSettings(), "TLS on `tcp`, read again on reload; of a broker what it is shown.")
    url: str | None = live(
        None,
        "Broker, such as mqtt://127.0.0.1:1883 or, over TLS, mqtts://broker.example; nats://127.0.0.1:4222 or tls://; "
        "kafka://127.0.0.1:9092 or kafkas://.",
    )
    client: str | None = live(
        None, "Client identifier, by which an `mqtt` broker knows the session; nobody else may use it.", min_length=1
    )
    topics: list[str] = live(
        [], "Topic filters that `mqtt` subscribes to, such as meters/+/energy; topics that `kafka` reads."
    )
    subject: str | None = live(None, "Subject that `nats` reads, of a stream that JetStream has, such as meters.>.")
    consumer: str | None = live(
        None,
        "Durable consumer by which JetStream knows how far `nats` has read, made where there is none; name under which "
        "`kafka` shows at the brokers.",
    )
    protocol: Literal["5", "3.1.1"] = live("5", "Version of MQTT.")
    mechanism: Literal["plain", "scram-sha-256", "scram-sha-512"] = live(
        "plain", "How user and password are shown to `kafka` (SASL)."
    )
    user: str | None = live(None, "User at the broker; none: it asks for none.")
    password: SecretStr | None = live(None, "Password at the broker, best written as ${NAME}.")
    ca: str | None = live(
        None, "File with authorities (PEM) of the broker's certificate; none: those of the system are trusted."
    )
    in_flight: int = live(
        256, "Messages of a broker that may wait to be durable; it holds back the rest.", ge=1, le=10_000
    )
    stamp: Literal["payload", "arrival"] = live(
        "payload",
        "`payload`: messages are lines in the stream's format, with stamps; `arrival`: a message has one number and no "
        "stamp, and is of when it came.",
    )
    field: str | None = live(
        None,
        "Key of the number in a JSON message under `stamp: arrival`, dots for what lies deeper; none: it is that.",
        min_length=1,
    )
    max_series: int | None = live(
        None,
        "Series that the source may bring into its stream; none: all of the stream's max_series for its only source, "
        "three quarters for one of several.",
        ge=1,
    )

    @field_validator("listen")
    @classmethod
    def _host_and_port(cls, listen: str | None) -> str | None:
        if listen is not None and split_address(listen) is None:
            raise ValueError(f"not an address and a port; {HINT.format(port=9899)}")
        return listen

    @field_validator("allow")
    @classmethod
    def _networks(cls, allow: list[str]) -> list[str]:
        for text in allow:
            try:
                ip_network(text)
            except ValueError:
                raise ValueError(
                    f"not a list of networks: {text!r} is none; write 192.0.2.0/24, 192.0.2.7 or 2001:db8::/32"
                ) from None
        return allow

    @field_validator("match")
    @classmethod
    def _selectors(cls, match: list[str]) -> list[str]:
        for text in match:
            selector(text)
        return match

    @field_validator("series")
    @classmethod
    def _template(cls, series: str | None) -> str | None:
        if series is not None:
            template(series)
        return series

    @field_validator("url")
    @classmethod
    def _broker(cls, url: str | None) -> str | None:
        schemes = sorted({scheme for kind in SOURCES.values() for scheme in kind.schemes})
        if url is not None and not is_address(url, schemes):
            raise ValueError(f"not a broker's address; write {schemes[0]}://host:port, with user and password below")
        return url

    @field_validator("topics")
    @classmethod
    def _filters(cls, topics: list[str]) -> list[str]:
        for topic in topics:
            if not topic or not _FILTER.fullmatch(topic):
                raise ValueError(f"not a list of topic filters: {topic!r} is none; write meters/+/energy or meters/#")
        return topics

    @field_validator("subject", "consumer")
    @classmethod
    def _tokens(cls, text: str | None, info: ValidationInfo) -> str | None:
        if text is not None and not (_SUBJECT if info.field_name == "subject" else _CONSUMER).fullmatch(text):
            raise ValueError("not one; write tokens such as meters.*.energy or meters.>, and letters for a consumer")
        return text

    @field_validator("mode")
    @classmethod
    def _octal(cls, mode: str) -> str:
        if not re.fullmatch("0?[0-7]{3}", mode):
            raise ValueError("not three octal digits; write 0660 in quotes")
        return mode

    @model_validator(mode="after")
    def _keys_belong(self) -> SourceSettings:
        kind = SOURCES[self.type]
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if name in ("type", "max_series") or name in kind.keys or value == field.default:
                continue
            said = f"is {value}" if isinstance(value, str) else "is set"
            types = " or ".join(sorted(other for other, each in SOURCES.items() if name in each.keys))
            raise ConflictError(
                name, f"{said}, but a source of type {self.type} takes none; remove it or set type: {types}"
            )
        for name, example in (kind.needs or {}).items():
            if not getattr(self, name):
                raise ConflictError(
                    name, f"is missing, but a source of type {self.type} needs one; add {name}: {example}"
                )
        if self.url is not None and self.url.partition("://")[0] not in kind.schemes:
            raise ConflictError("url", f"is {self.url}, but {self.type} speaks {' or '.join(kind.schemes)}; write that")
        return self

    @model_validator(mode="after")
    def _keys_together(self) -> SourceSettings:
        if self.password is not None and self.user is None:
            raise ConflictError("password", NO_USER)
        if self.url is not None and not is_secured(self.url):
            for name, given in (("ca", self.ca), ("tls", self.tls.certificate)):
                if given is not None:
                    raise ConflictError(name, NO_TLS.format(url=self.url))
        if self.url is not None and self.tls.client_ca is not None:
            raise ConflictError("tls", "has client_ca, which is for those who connect here; write ca beside url")
        if self.type == "kafka":
            for topic in self.topics:
                if not _TOPIC.fullmatch(topic):
                    raise ConflictError("topics", f"has {topic!r}, but a topic of kafka is a name; write it whole")
        if self.field is not None and self.stamp == "payload":
            raise ConflictError("field", "is set, but a message has a stamp; set stamp: arrival, or use format.value")
        return self

    @property
    def address(self) -> tuple[str, int]:
        """Host (without brackets) and port of `listen`.

        Raises:
            ValueError: The source listens on none.
        """
        found = split_address(self.listen or "")
        if found is None:
            raise ValueError(f"a source of type {self.type} has no address")
        return found
