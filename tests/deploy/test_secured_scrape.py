"""A real Prometheus scrapes a real daemon over TLS with a password."""

from __future__ import annotations

from pathlib import Path

import bcrypt

from tests.adapters.sockets.certificates import Authority
from tests.conftest import need
from tests.e2e.processes import Daemon, Prometheus, json_of, tidegauge, until

CONFIGURATION = """\
version: 1
state_dir: state
streams: {tide: {sources: [{path: tide.csv}], interval: 1h, clock: event}}
http: {listen: "127.0.0.1:0", web_config: web.yml}
log: {format: plain}
"""
JOB = """\
    scheme: https
    tls_config: {{ca_file: {authority}}}
    basic_auth: {{username: scraper, password: {password}}}
"""


def test_prometheus_scrapes_over_tls_with_its_password(tmp_path: Path) -> None:
    """The example's settings of both sides work together; with another password the target is down.

    `tidegauge status` needs neither: it asks the socket in the state directory.
    """
    program = need("prometheus")
    authority = Authority(tmp_path, "authority")
    pair = authority.issue("server")
    hashed = bcrypt.hashpw(b"tide", bcrypt.gensalt(4)).decode()
    (tmp_path / "web.yml").write_text(
        f"tls_server_config:\n  cert_file: {pair.certificate}\n  key_file: {pair.key}\n"
        f"basic_auth_users:\n  scraper: {hashed}\n"
    )
    (tmp_path / "tidegauge.yaml").write_text(CONFIGURATION)
    with Daemon(tmp_path / "tidegauge.yaml") as daemon:
        target = daemon.loaded().removeprefix("https://")
        right = JOB.format(authority=authority.file, password="tide")
        wrong = JOB.format(authority=authority.file, password="ebb")
        with Prometheus(program, tmp_path / "right", target, right) as prometheus:
            until("a scrape", lambda: prometheus.value("tidegauge_ready") == 1)
        config = tmp_path / "tidegauge.yaml"
        asked = until("status", lambda: json_of("status", "--config", config, cwd=tmp_path))
        assert (asked["ready"], asked["not_ready"], list(asked["streams"])) == (True, None, ["tide"])
        with Prometheus(program, tmp_path / "wrong", target, wrong) as prometheus:
            until("a refused scrape", lambda: prometheus.value("up") == 0)
            assert prometheus.value("tidegauge_ready") is None
    stopped = tidegauge("status", "--config", tmp_path / "tidegauge.yaml", cwd=tmp_path, status=1).stderr
    assert "web.yml; is it running? If it is, run this as its user or root" in stopped
