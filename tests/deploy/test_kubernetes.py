import tomllib
from pathlib import Path

import pytest
import yaml

from tests.deploy.conftest import DEPLOY, ROOT, Manifest, documents, kubernetes_files, pods
from tests.deploy.kubernetes import (
    OF_OTHERS,
    check_against_kubernetes,
    check_pods,
    check_who_reaches_what,
    errors_against_definition,
    reaches,
)

FOLDER = DEPLOY / "kuberay"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
ALL = [
    (path.name, document)
    for path in kubernetes_files()
    if path.name != "kustomization.yaml"
    for document in documents(path)
]


def of_kind(kind: str) -> list[Manifest]:
    return [manifest for _, manifest in ALL if manifest["kind"] == kind]


def test_every_manifest_fits_the_schema_of_kubernetes():
    checked = [m for _, m in ALL if m["kind"] not in OF_OTHERS]
    for manifest in checked:
        check_against_kubernetes(manifest)
    assert len(checked) >= 11


def test_a_wrong_field_does_not_fit():
    manifest = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}
    with pytest.raises(Exception, match="prots"):
        check_against_kubernetes(manifest | {"spec": {"prots": []}})


@pytest.mark.parametrize("kind", ["RayCluster", "RayJob"])
def test_resources_of_kuberay_fit_their_definitions(kind: str, kuberay_schemas: Path):
    (manifest,) = of_kind(kind)
    assert errors_against_definition(manifest, kuberay_schemas) == []
    manifest = yaml.safe_load(yaml.safe_dump(manifest))
    manifest["spec"]["rayVersoin"] = manifest["spec"].pop("rayVersion", "2")
    assert errors_against_definition(manifest, kuberay_schemas) != []


def test_every_pod_is_confined():
    counts = {
        kind: sum(check_pods(manifest) for manifest in of_kind(kind))
        for kind in ("Deployment", "RayCluster", "RayJob")
    }
    assert counts == {"Deployment": 1, "RayCluster": 3, "RayJob": 3}


def test_only_the_gateway_and_the_operator_reach_ray():
    check_who_reaches_what(of_kind("NetworkPolicy"), {})


def test_the_judge_of_policies_knows_an_open_door():
    policies = of_kind("NetworkPolicy")
    open_door = {
        "spec": {
            "podSelector": {},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {}}]}],
        }
    }
    stranger = {"app": "other"}
    ray = {"app.kubernetes.io/name": "worldloom", "app.kubernetes.io/component": "ray"}
    assert not reaches(policies, stranger, ray, 6379)
    assert reaches([*policies, open_door], stranger, ray, 6379)
    assert reaches([], stranger, ray, 6379)


def test_what_is_not_for_ray_falls_under_nothing_in():
    policies = of_kind("NetworkPolicy")
    assert not reaches(policies, {"app": "other"}, {"app": "new"}, 80)


def test_labels_of_pods_are_those_that_policies_and_budgets_select():
    for manifest in of_kind("RayCluster") + of_kind("RayJob"):
        spec = manifest["spec"].get("rayClusterSpec", manifest["spec"])
        for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
            labels = group["template"]["metadata"]["labels"]
            assert labels["app.kubernetes.io/component"] == "ray"
    (deployment,) = of_kind("Deployment")
    assert (
        deployment["spec"]["template"]["metadata"]["labels"]
        == deployment["spec"]["selector"]["matchLabels"]
    )
    (service,) = of_kind("Service")
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]
    budgets = {b["metadata"]["name"]: b["spec"]["selector"] for b in of_kind("PodDisruptionBudget")}
    (cluster,) = of_kind("RayCluster")
    for name, kind in (("worldloom-head", "head"), ("worldloom-workers", "worker")):
        assert budgets[name]["matchLabels"] == {
            "ray.io/cluster": cluster["metadata"]["name"],
            "ray.io/node-type": kind,
        }


def test_kustomization_takes_every_file_but_the_examples():
    files = {path.name for path in kubernetes_files()}
    examples = {"kustomization.yaml", "rayjob.yaml", "keda.yaml"}
    assert set(KUSTOMIZATION["resources"]) == files - examples
    images = {image["name"] for image in KUSTOMIZATION["images"]}
    used = {
        container["image"]
        for name, manifest in ALL
        if name in KUSTOMIZATION["resources"]
        for _, pod in pods(manifest)
        for container in pod["containers"]
    }
    assert used == images


def test_the_gateway_is_asked_by_grpc_and_ends_before_it_is_killed():
    (deployment,) = of_kind("Deployment")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["readinessProbe"]["grpc"] == {"port": 50051}
    assert container["startupProbe"]["grpc"] == {"port": 50051}
    (drain,) = (arg for arg in container["args"] if arg.startswith("--drain-s="))
    assert pod["terminationGracePeriodSeconds"] > int(drain.partition("=")[2]) + 5
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}


def test_ray_asks_for_its_token_and_is_not_published():
    for kind in ("RayCluster", "RayJob"):
        for manifest in of_kind(kind):
            spec = manifest["spec"].get("rayClusterSpec", manifest["spec"])
            assert spec["authOptions"] == {"mode": "token"}
            assert spec["headGroupSpec"]["serviceType"] == "ClusterIP"
    assert [m for _, m in ALL if m["kind"] == "Ingress"] == []
    assert of_kind("RayJob")[0]["spec"]["backoffLimit"] == 2


def test_versions_are_those_of_the_project():
    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if not line.startswith("#")
    )
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for kind in ("RayCluster", "RayJob"):
        for manifest in of_kind(kind):
            spec = manifest["spec"].get("rayClusterSpec", manifest["spec"])
            assert spec["rayVersion"] == pins["ray"]
    assert {image["newTag"] for image in KUSTOMIZATION["images"]} == {version}
    text = (FOLDER / "rayjob.yaml").read_text()
    assert text.count(f"worldloom:{version}") == text.count("image:")
