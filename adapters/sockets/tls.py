"""TLS on a listening socket: certificates from files, handshakes in steps, and why one failed."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

REFUSALS: tuple[str, ...] = ("certificate_missing", "certificate_expired", "certificate_invalid", "tls")
"""Why a handshake is refused; `tls` is every other failure: no TLS at all, no version in common, a broken record."""

_EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED


@dataclass(frozen=True, slots=True)
class Shaken:
    """How a handshake ended: `refusal` is one of `REFUSALS`, or None when it succeeded; `detail` is for the log."""

    refusal: str | None
    detail: str = ""


class Certificates:
    """The files of a server's TLS, read by `reload`, not before.

    With `client_ca` a peer must have a certificate that one of these authorities signed. TLS 1.2 is the least.

    Args:
        certificate: Certificate chain (PEM).
        key: Private key (PEM); None: in the same file.
        client_ca: Authorities (PEM) of peers; None: peers need no certificate.
    """

    def __init__(self, certificate: str, key: str | None = None, client_ca: str | None = None) -> None:
        self._certificate, self._key, self._client_ca = certificate, key, client_ca
        self._context: ssl.SSLContext | None = None

    def reload(self) -> None:
        """Read the files, for connections from now on.

        Raises:
            OSError: A file cannot be read, or is not what it should be; the certificates read before stay in force.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # a peer that only writes never reads a ticket, and closing with one unread resets what it has sent
        context.num_tickets = 0
        self._load(context)
        self._context = context

    def wrap(self, sock: socket.socket) -> ssl.SSLSocket:
        """The server's side of TLS on a connected socket, its handshake not begun."""
        assert self._context is not None
        return self._context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)

    def _load(self, context: ssl.SSLContext) -> None:
        names = [name for name in (self._certificate, self._key, self._client_ca) if name is not None]
        for name in names:
            with Path(name).open("rb"):  # an error that names the file, which those of ssl do not
                pass
        try:
            # without a password of its own, ssl would ask the terminal for that of an encrypted key
            context.load_cert_chain(self._certificate, self._key, password="")
            if self._client_ca is not None:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(self._client_ca)
        except (ssl.SSLError, ValueError) as error:
            raise OSError(
                f"TLS files {', '.join(names)} cannot be used ({error}); they must be PEM, the key without a password, "
                "and the key that of the certificate"
            ) from error


def shake(sock: ssl.SSLSocket) -> Shaken | None:
    """Take a handshake a step further, without blocking; None while it goes on."""
    try:
        sock.do_handshake()
    except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
        return None
    except OSError as error:
        return Shaken(_refusal(error), _detail(error))
    return Shaken(None)


def _refusal(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return "certificate_expired" if error.verify_code == _EXPIRED else "certificate_invalid"
    if isinstance(error, ssl.SSLError) and error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return "certificate_missing"
    return "tls"


def _detail(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return str(error.verify_message)
    reason = getattr(error, "reason", None)
    return reason.lower().replace("_", " ") if reason else (error.strerror or type(error).__name__)
