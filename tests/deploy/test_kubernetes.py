"""The manifests for Kubernetes, put together by kubectl and held against the schemas of several versions.

No cluster was to be had; nothing here was ever applied to one.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from daemon.config.file import load
from tests.conftest import ROOT, need

MANIFESTS = ROOT / "deploy" / "kubernetes"
CONTAINERFILE = (ROOT / "deploy/Containerfile").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def made() -> dict[str, dict[str, Any]]:
    """What `kubectl kustomize` makes of the directory, by kind."""
    command = [str(need("kubectl")), "kustomize", str(MANIFESTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return {each["kind"]: each for each in yaml.safe_load_all(done.stdout)}


@pytest.mark.parametrize("version", ["1.28", "1.31", "1.34"])
def test_they_are_what_kubernetes_takes(made: dict[str, dict[str, Any]], version: str) -> None:
    """Each has all that its schema asks for and no key that it does not know."""
    for each in made.values():
        kubernetes_validate.validate(each, version, strict=True)


def test_they_fit_together_and_the_image(made: dict[str, dict[str, Any]]) -> None:
    """The service finds the pod; user, port and places are those of the container file; one pod writes the state."""
    workload, service = made["StatefulSet"]["spec"], made["Service"]["spec"]
    pod, (container,) = workload["template"]["spec"], workload["template"]["spec"]["containers"]
    assert service["selector"].items() <= workload["template"]["metadata"]["labels"].items()
    assert workload["selector"]["matchLabels"].items() <= workload["template"]["metadata"]["labels"].items()
    assert (workload["replicas"], workload["serviceName"]) == (1, made["Service"]["metadata"]["name"])
    assert f"USER {pod['securityContext']['runAsUser']}\n" in CONTAINERFILE
    assert f"EXPOSE {container['ports'][0]['containerPort']}\n" in CONTAINERFILE
    places = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
    (volumes,) = re.findall(r"^VOLUME \[(.*)\]$", CONTAINERFILE, re.MULTILINE)
    assert {each.strip(' "') for each in volumes.split(",")} <= set(places) and "/etc/tidegauge" in places
    named = {each["name"]: each for each in pod["volumes"]}
    assert named["config"]["configMap"]["name"] == made["ConfigMap"]["metadata"]["name"]
    assert set(places.values()) == set(named) | {each["metadata"]["name"] for each in workload["volumeClaimTemplates"]}


def test_the_configuration_can_be_run(made: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    """Tidegauge takes what the pod finds; it listens where the probes ask, with its state on the volume that stays."""
    config = tmp_path / "tidegauge.yaml"
    config.write_text(made["ConfigMap"]["data"]["tidegauge.yaml"])
    settings = load(config, serving=True)
    assert settings.http.address == ("0.0.0.0", 9898)
    assert str(settings.state_dir).startswith("/var/lib/tidegauge/")
