"""The manifests of deploy/ keep Kubernetes' schemas, and ask for what the image answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from amora_fs_assets.cli.main import main
from amora_fs_assets.serving.app import OPEN

DEPLOY = Path(__file__).parents[2] / "deploy"
VERSION = "1.34"


def manifests() -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()) if each]


def cloud_run() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "cloud-run.yaml").read_text())
    return found


def pods() -> list[dict[str, Any]]:
    templated = [each["spec"]["template"] for each in (*manifests(), cloud_run()) if "template" in each.get("spec", {})]
    return [each["spec"] for each in templated]


@pytest.mark.parametrize("manifest", manifests(), ids=lambda each: f"{each['kind']} {each['metadata']['name']}")
def test_it_keeps_the_schema(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, VERSION, strict=True)


def test_a_misspelt_field_would_be_found() -> None:
    (wrong, *_) = (each for each in manifests() if each["kind"] == "Deployment")
    wrong["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


def test_the_container_of_cloud_run_keeps_the_schema_of_a_pods() -> None:
    (container,) = cloud_run()["spec"]["template"]["spec"]["containers"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": {"containers": [container]}}
    kubernetes_validate.validate(pod, VERSION, strict=True)


def test_probes_ask_for_what_the_server_answers_and_commands_exist() -> None:
    for pod in pods():
        (container,) = pod["containers"]
        program, word, *_ = container["command"]
        assert program == "dagster" or word in main.commands
        probes = [container[name] for name in container if name.endswith("Probe")]
        assert probes
        for probe in probes:
            if "httpGet" in probe:
                assert probe["httpGet"]["path"] in OPEN
            else:
                assert probe["exec"]["command"][:3] == ["dagster", "api", "grpc-health-check"]
