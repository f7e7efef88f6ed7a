"""TLS towards other servers: what is trusted, and what is shown to one that asks."""

from __future__ import annotations

import ssl


def client_context(ca: str | None, certificate: str | None = None, key: str | None = None) -> ssl.SSLContext:
    """A context that checks the server's certificate and name.

    Args:
        ca: File with authorities (PEM) of the server's certificate; None: those of the system.
        certificate: File with the chain (PEM) that is shown; None: none is.
        key: File with its private key, without a password; None: it is in the certificate's file.

    Raises:
        OSError: A file cannot be used.
    """
    made = ssl.create_default_context(cafile=ca)
    if certificate is not None:
        # without a password of its own, ssl would ask the terminal for that of an encrypted key
        made.load_cert_chain(certificate, key, password="")
    return made
