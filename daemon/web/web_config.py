"""TLS and passwords of the HTTP server, from a file as Prometheus' exporters have it.

Source: https://prometheus.io/docs/prometheus/latest/configuration/https/ (keys and their meaning).
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from daemon.config.document import ConfigError, Document, Where, dotted

_BCRYPT = re.compile(rb"\$2[abxy]\$(\d\d)\$[./A-Za-z0-9]{53}")
_MOST_ROUNDS = 14  # 2^14 rounds take a second; a mistyped 31 would take a day
_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_CLIENTS = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}


@dataclass(frozen=True, slots=True)
class WebConfig:
    """Who is let in.

    Attributes:
        tls: Takes the place of plain HTTP.
        users: Name -> bcrypt hash; without any, no password is asked for.
        files: Files it was read from. A change of one of them is a reason to read again.
    """

    tls: ssl.SSLContext | None = None
    users: Mapping[str, bytes] = field(default_factory=dict)
    files: tuple[Path, ...] = ()


class _Tls(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    cert_file: str
    key_file: str
    client_auth_type: Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"] = "NoClientCert"
    client_ca_file: str | None = None
    min_version: Literal["TLS12", "TLS13"] = "TLS12"
    max_version: Literal["TLS12", "TLS13"] = "TLS13"


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    tls_server_config: _Tls | None = None
    basic_auth_users: dict[str, str] | None = None


def read(path: Path) -> WebConfig:
    """Read a web-config file; paths in it are relative to its directory.

    Raises:
        ConfigError: It cannot be used; each problem says where and what to do.
    """
    document = Document(path)
    try:
        file = _File.model_validate(document.data)
    except ValidationError as error:
        raise ConfigError([document.problem(*_explain(detail)) for detail in error.errors()]) from None
    users = {name: text.encode() for name, text in (file.basic_auth_users or {}).items()}
    for name, hashed in users.items():
        _check_hash(document, name, hashed)
    if file.tls_server_config is None:
        return WebConfig(None, users, (path,))
    context, files = _context(document, file.tls_server_config, path.absolute().parent)
    return WebConfig(context, users, (path, *files))


def _explain(detail: ErrorDetails) -> tuple[Where, str]:
    where: Where = tuple(detail["loc"])
    known = _Tls if where[:1] == ("tls_server_config",) and len(where) > 1 else _File
    if detail["type"] == "extra_forbidden":
        return where, f"{dotted(where)} is not known here; remove it, or use one of {', '.join(known.model_fields)}"
    if detail["type"] == "missing":
        return where, f"{dotted(where)} is missing; TLS needs cert_file and key_file"
    if detail["type"] == "literal_error":
        choices = detail["ctx"]["expected"].replace("'", "")
        return where, f"{dotted(where)} is {detail['input']!s:.40}, which this server has not; set {choices}"
    return where, f"{dotted(where)} is not what belongs here; {detail['msg'].lower()}"


def _check_hash(document: Document, name: str, hashed: bytes) -> None:
    where: Where = ("basic_auth_users", name)
    found = _BCRYPT.fullmatch(hashed)
    if not name or ":" in name:
        text = f"basic_auth_users has the name {name!r}, which basic authentication cannot carry; use one without ':'"
        raise ConfigError([document.problem(where, text)])
    if not found:
        text = f"{dotted(where)} is not a bcrypt hash; make one with htpasswd -nBC 10 {name}"
        raise ConfigError([document.problem(where, text)])
    if int(found[1]) > _MOST_ROUNDS:
        text = f"{dotted(where)} has cost {int(found[1])}, which takes too long; make it {_MOST_ROUNDS} or less"
        raise ConfigError([document.problem(where, text)])


def _context(document: Document, tls: _Tls, base: Path) -> tuple[ssl.SSLContext, list[Path]]:
    """The context, and the files it was read from."""

    def refuse(key: str, text: str) -> ConfigError:
        where: Where = ("tls_server_config", key)
        return ConfigError([document.problem(where, f"{dotted(where)} {text}")])

    if tls.min_version > tls.max_version:
        raise refuse("min_version", f"is {tls.min_version}, but max_version is {tls.max_version}; set it as low")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version, context.maximum_version = _VERSIONS[tls.min_version], _VERSIONS[tls.max_version]
    context.verify_mode = _CLIENTS[tls.client_auth_type]
    certificate, key = base / tls.cert_file, base / tls.key_file
    try:
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except OSError as error:
        raise refuse("cert_file", f"{certificate} and key_file {key} cannot be used: {_words(error)}") from None
    if context.verify_mode == ssl.CERT_NONE:
        return context, [certificate, key]
    if tls.client_ca_file is None:
        raise refuse("client_auth_type", f"is {tls.client_auth_type}, but client_ca_file is missing; name one")
    authorities = base / tls.client_ca_file
    try:
        context.load_verify_locations(authorities)
    except OSError as error:
        raise refuse("client_ca_file", f"{authorities} cannot be used: {_words(error)}") from None
    return context, [certificate, key, authorities]


def _words(error: OSError) -> str:
    """What OpenSSL or the system found wrong."""
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "not PEM").replace("_", " ").lower()
        return f"{reason}; name unencrypted PEM files that belong together"
    return f"{error.strerror or error}; name files that this user may read"
