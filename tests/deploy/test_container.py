"""The container file and the compose file: what can be held without a registry of images.

An image was built and run by hand (docs/operations.md says how); here every file that they name is there, and what the
compose file mounts is valid where it is mounted.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from daemon.config.file import load
from tests.conftest import ROOT, need

COMPOSE = ROOT / "deploy/compose/compose.yaml"
CONTAINERFILE = (ROOT / "deploy/Containerfile").read_text(encoding="utf-8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
UNIT = (ROOT / "deploy/systemd/tidegauge.service").read_text(encoding="utf-8")


def mounts(service: str) -> dict[str, Path]:
    """What is mounted from the checkout into a service, by its place there."""
    pairs = [volume.split(":") for volume in SERVICES[service].get("volumes", ()) if volume.startswith(".")]
    return {place: COMPOSE.parent / path for path, place, *_ in pairs}


def test_what_is_mounted_is_there_and_read_only() -> None:
    """Every file and directory of the checkout exists, and no container can change one."""
    for name, service in SERVICES.items():
        assert all(path.exists() for path in mounts(name).values()), name
        assert all(volume.endswith(":ro") for volume in service["volumes"] if volume.startswith(".")), name


def test_ports_are_this_machines_only_and_images_have_versions() -> None:
    """Nothing is published beyond the loopback; an image is one version, or built here."""
    for name, service in SERVICES.items():
        assert all(str(port).startswith("127.0.0.1:") for port in service["ports"]), name
        assert "build" in service or re.search(r":v?\d+\.\d+\.\d+$", service["image"]), name


def test_the_mounted_configurations_are_valid(tmp_path: Path) -> None:
    """`promtool` and `amtool` take what Prometheus and Alertmanager find in their places, Tidegauge its own."""
    for service, program, arguments in (
        ("prometheus", "promtool", ["check", "config"]),
        ("alertmanager", "amtool", ["check-config"]),
    ):
        for place, path in mounts(service).items():
            shutil.copy(path, tmp_path / Path(place).name)
        (file,) = [Path(place).name for place in mounts(service) if Path(place).stem == service]
        done = subprocess.run(
            [need(program), *arguments, file], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
    settings = load(mounts("tidegauge")["/etc/tidegauge/tidegauge.yaml"], serving=True)
    (target,) = yaml.safe_load((tmp_path / "prometheus.yml").read_text())["scrape_configs"][0]["static_configs"]
    host, _, port = target["targets"][0].partition(":")
    assert settings.http.hosts == [host] == ["tidegauge"], "a name that it is not called by is refused"
    assert settings.http.listen == f"0.0.0.0:{port}"
    named = {volume.split(":")[1] for volume in SERVICES["tidegauge"]["volumes"]}
    assert str(settings.state_dir) in named
    (source,) = settings.streams["readings"].sources
    assert str(Path(source.path or "").parent) in named


def test_grafana_finds_dashboard_and_prometheus() -> None:
    """The dashboard lies where the provider looks, and the data source is the compose file's Prometheus."""
    places = mounts("grafana")
    provider = yaml.safe_load((places["/etc/grafana/provisioning/dashboards"] / "tidegauge.yml").read_text())
    assert f"{provider['providers'][0]['options']['path']}/tidegauge.json" in places
    (source,) = yaml.safe_load(places["/etc/grafana/provisioning/datasources/prometheus.yml"].read_text())[
        "datasources"
    ]
    assert source["url"] == "http://prometheus:9090"


def test_the_container_file_builds_from_what_is_not_ignored() -> None:
    """The build gets what the install script copies and no more, runs as a user, with the unit's environment."""
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[1] == "*"
    kept = [line[1:] for line in ignored if line.startswith("!")]
    assert all(list(ROOT.glob(pattern)) for pattern in kept)
    script = (ROOT / "deploy/install.sh").read_text(encoding="utf-8")
    (copied,) = re.findall(r"cp -R (.*) \"\$scratch/source\"", script)
    assert set(copied.split()) | {"constraints.txt", "deploy/install.sh", "docs/*.md"} == set(kept)
    assert re.search(r"^USER [1-9]\d*$", CONTAINERFILE, re.MULTILINE)
    wanted = dict(re.findall(r"([A-Z_]+)=(\S+)", "\n".join(re.findall(r"^Environment=(.*)$", UNIT, re.MULTILINE))))
    found = dict(re.findall(r"([A-Z_]+)=(\S+)", CONTAINERFILE.partition("ENV ")[2].partition("\nUSER")[0]))
    assert {key: found.get(key) for key in wanted} == {
        key: value.replace("%C", "/var/cache") for key, value in wanted.items()
    }
