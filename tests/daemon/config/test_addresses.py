"""What counts as an address of another server."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from daemon.config.addresses import is_address
from daemon.config.sink_settings import SyslogSettings, WebhookSettings


@pytest.mark.parametrize(
    ("url", "bare", "fine"),
    [
        ("tcp://127.0.0.1:514", True, True),
        ("tcp://host", True, True),
        ("tcp://host:514/", True, True),
        ("tcp://host:514/path", True, False),
        ("tcp://host:514/path?q=1", False, True),
        ("tcp://user:pw@host", True, False),
        ("tcp://user:pw@host", False, True),
        ("tcp://host:0", False, False),
        ("tcp://host:99999", False, False),
        ("tcp://", False, False),
        ("udp://host", False, False),
        ("tcp://ho st", True, False),
        ("tcp://host/a b", False, False),
        ("tcp://host\n", False, False),
        ("tcp://[::1", False, False),
    ],
)
def test_an_address_has_scheme_host_and_port(url: str, bare: bool, fine: bool) -> None:
    """A scheme that is allowed, a host, a possible port, no blanks; more only where it can be sent."""
    assert is_address(url, ["tcp"], bare=bare) is fine


def test_only_http_has_paths() -> None:
    """A webhook's address may have a path and a query; a syslog receiver's has nothing that would be passed over."""
    assert WebhookSettings(url="https://host/alarms?key=1").url == "https://host/alarms?key=1"
    with pytest.raises(ValidationError, match="write udp://host:port or tcp://host:port or tls://host:port, without"):
        SyslogSettings(url="tcp://host:514/alarms")
