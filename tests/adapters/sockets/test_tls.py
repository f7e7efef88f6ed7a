"""TLS: whoever fails the handshake is refused and counted with the reason, and nobody else notices."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapters.sockets.listener import Listener
from adapters.sockets.tcp import TcpEndpoint
from adapters.sockets.tls import Certificates
from tests.adapters.sockets.certificates import Authority, Pair
from tests.adapters.sockets.peers import Clock, connect, drain, gone, listening, poll, until


@dataclass(frozen=True)
class Issued:
    """Who signs, and what was signed."""

    authority: Authority
    server: Pair
    meter: Pair
    expired: Pair
    stranger: Pair


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Issued:
    """Certificates of a server and of several peers."""
    directory = tmp_path_factory.mktemp("certificates")
    authority = Authority(directory, "authority")
    return Issued(
        authority,
        authority.issue("server"),
        authority.issue("meter"),
        authority.issue("expired", days=(-9, -2)),
        Authority(directory, "stranger").issue("meter-of-stranger"),
    )


@contextmanager
def guarded(issued: Issued, clock: Clock | None = None, client_ca: bool = True) -> Iterator[Listener]:
    """A TLS listener that asks for client certificates."""
    ca = issued.authority.file if client_ca else None
    endpoint = TcpEndpoint("127.0.0.1", 0, certificates=Certificates(issued.server.certificate, issued.server.key, ca))
    with listening(clock, endpoint) as listener:
        yield listener


def context(issued: Issued, pair: Pair | None, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    """A peer that trusts the authority, with a certificate or none."""
    made = ssl.create_default_context(cafile=issued.authority.file)
    made.maximum_version = version
    if pair is not None:
        made.load_cert_chain(pair.certificate, pair.key)
    return made


def send(listener: Listener, made: ssl.SSLContext, lines: bytes) -> threading.Thread:
    """Send lines over TLS from a thread of its own, as far as that goes, and wait for the other side to close."""

    def work() -> None:
        with contextlib.suppress(OSError), made.wrap_socket(connect(listener), server_hostname="localhost") as peer:
            peer.sendall(lines)
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_WR)
            peer.recv(1)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def heard(listener: Listener, thread: threading.Thread) -> bytes:
    """What the listener gets until the sender is done."""
    text = b""
    while thread.is_alive():
        text += b"".join(drain(listener, 1)[0].values())
    return text + b"".join(drain(listener)[0].values())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_10_lines_arrive_over_tls(issued: Issued, version: ssl.TLSVersion) -> None:
    """Many records' worth of lines arrives whole, from a peer with a certificate that the authority signed."""
    lines = b"".join(b"%d,series,1.5\n" % number for number in range(50_000))
    with guarded(issued) as listener:
        assert heard(listener, send(listener, context(issued, issued.meter, version), lines)) == lines
        assert listener.status()["closed_refused"] == 0


def test_10_a_peer_that_only_writes_loses_nothing(issued: Issued) -> None:
    """A peer that sends and closes without ever reading resets nothing it has sent."""
    lines = b"".join(b"%d,series,1.5\n" % number for number in range(5_000))
    with guarded(issued) as listener:

        def work() -> None:
            made = context(issued, issued.meter)
            with made.wrap_socket(connect(listener), server_hostname="localhost") as peer:
                peer.sendall(lines)

        thread = threading.Thread(target=work)
        thread.start()
        assert heard(listener, thread) == lines


@pytest.mark.parametrize(
    ("who", "reason"),
    [("expired", "certificate_expired"), ("stranger", "certificate_invalid"), (None, "certificate_missing")],
)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_10_a_wrong_certificate_is_refused(
    issued: Issued, who: str | None, reason: str, version: ssl.TLSVersion
) -> None:
    """Expired, signed by a stranger, or none: refused, counted by reason, and no line of theirs is read."""
    clock = Clock()
    with guarded(issued, clock) as listener:
        good = context(issued, issued.meter).wrap_socket(
            connect(listener), server_hostname="localhost", do_handshake_on_connect=False
        )
        shaken = threading.Thread(target=good.do_handshake)
        shaken.start()
        while shaken.is_alive():
            drain(listener, 1)
        pair = getattr(issued, who) if who else None
        assert heard(listener, send(listener, context(issued, pair, version), b"evil,1\n")) == b""
        assert listener.status()[f"refused_{reason}"] == listener.status()["closed_refused"] == 1
        assert [fields["reason"] for _, fields in clock.noticed] == [reason]
        good.sendall(b"a,1\n")
        assert [chunk.data for chunk in poll(listener)] == [b"a,1\n"], "others are unaffected"
        good.close()


def test_10_no_tls_at_all_is_refused(issued: Issued) -> None:
    """Plain lines on a TLS port are no handshake."""
    with guarded(issued) as listener, connect(listener) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
        until(lambda: drain(listener) == ({}, {}) and listener.status()["refused_tls"] == 1)
        assert until(lambda: gone(peer))


def test_10_a_stalled_handshake_has_a_deadline(issued: Issued) -> None:
    """A peer that says nothing for 10 s instead of shaking hands is refused; meanwhile others are served."""
    clock = Clock()
    with guarded(issued, clock) as listener, connect(listener) as stalled:
        stalled.send(b"\x16\x03\x01")
        assert heard(listener, send(listener, context(issued, issued.meter), b"a,1\n")) == b"a,1\n"
        assert listener.status()["connections_handshake"] == 1
        clock.now += 10.5
        drain(listener)
        assert gone(stalled)
        status = listener.status()
        assert (status["refused_handshake_timeout"], status["connections_handshake"]) == (1, 0)


def test_14_without_client_ca_no_certificate_is_asked_for(issued: Issued) -> None:
    """TLS alone protects what is sent; whoever is let in by the network may send."""
    with guarded(issued, client_ca=False) as listener:
        assert heard(listener, send(listener, context(issued, None), b"a,1\n")) == b"a,1\n"


def test_certificates_are_read_again(issued: Issued, tmp_path: Path) -> None:
    """After `reload` new peers see the new certificate, those that are there stay; a broken file changes nothing."""
    certificate, key = tmp_path / "server.crt", tmp_path / "server.key"
    shutil.copy(issued.server.certificate, certificate)
    shutil.copy(issued.server.key, key)
    endpoint = TcpEndpoint("127.0.0.1", 0, certificates=Certificates(str(certificate), str(key)))
    with listening(endpoint=endpoint) as listener:
        assert heard(listener, send(listener, context(issued, None), b"a,1\n")) == b"a,1\n"
        certificate.write_text("nonsense")
        with pytest.raises(OSError, match=r"server\.crt, .* cannot be used"):
            listener.reload()
        assert heard(listener, send(listener, context(issued, None), b"a,2\n")) == b"a,2\n"
        other = Authority(tmp_path, "other")
        pair = other.issue("new")
        shutil.copy(pair.certificate, certificate)
        shutil.copy(pair.key, key)
        listener.reload()
        assert heard(listener, send(listener, context(issued, None), b"a,3\n")) == b"", "its authority is another"
        trusting = ssl.create_default_context(cafile=other.file)
        assert heard(listener, send(listener, trusting, b"a,4\n")) == b"a,4\n"


def test_a_certificate_that_is_missing_is_named(tmp_path: Path) -> None:
    """The error names the file, which OpenSSL's does not."""
    endpoint = TcpEndpoint("127.0.0.1", 0, certificates=Certificates(str(tmp_path / "none.crt")))
    with pytest.raises(FileNotFoundError, match=r"none\.crt"):
        endpoint.listen()
