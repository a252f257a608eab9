from pathlib import Path
from typing import Any

import helm_python as helm
import pytest
import yaml

from tests.deploy.conftest import DEPLOY, Manifest
from tests.deploy.kubernetes import (
    OF_OTHERS,
    check_against_kubernetes,
    check_pods,
    check_who_reaches_what,
    errors_against_definition,
)

CHART = DEPLOY / "helm" / "worldloom"
POSTGRES = {"database": {"secret": "db"}, "gateway": {"replicas": 3}}
TLS = {"gateway": {"tlsSecret": "certificate", "importRoots": {"drone": "/data/drone"}}}
BARE: dict[str, Any] = {
    "ray": {"gpu": {"maxReplicas": 0}},
    "networkPolicy": {"enabled": False},
    "storage": {"existingClaim": "mine"},
    "image": {"digest": "sha256:" + "0" * 64},
}
VARIANTS = {"default": {}, "postgres": POSTGRES, "tls": TLS, "bare": BARE}


def rendered(values: dict[str, Any]) -> list[Manifest]:
    with helm.Chart.load(str(CHART)) as chart:
        files = chart.render(values, name="hall", namespace="scenes")
    return [
        document
        for name, text in files.items()
        if name.endswith(".yaml")
        for document in yaml.safe_load_all(text)
        if document
    ]


def the(manifests: list[Manifest], kind: str) -> Manifest:
    (found,) = (m for m in manifests if m["kind"] == kind)
    return found


def gateway(values: dict[str, Any]) -> Manifest:
    deployment = the(rendered(values), "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return deployment["spec"] | {"container": container}


def test_helm_finds_nothing_wrong():
    found = helm.lint(str(CHART))
    assert found["errors"] == []
    assert {m["error"] for m in found["messages"]} <= {"icon is recommended"}


@pytest.mark.parametrize("values", VARIANTS.values(), ids=VARIANTS)
def test_what_helm_makes_fits_kubernetes_and_is_confined(values: dict[str, Any]):
    manifests = rendered(values)
    for manifest in manifests:
        assert manifest["metadata"]["namespace"] == "scenes"
        if manifest["kind"] not in OF_OTHERS:
            check_against_kubernetes(manifest)
    groups = 2 if values is not BARE else 1
    assert check_pods(the(manifests, "RayCluster")) == 1 + groups
    assert check_pods(the(manifests, "Deployment")) == 1


@pytest.mark.parametrize("values", VARIANTS.values(), ids=VARIANTS)
def test_the_cluster_fits_its_definition(values: dict[str, Any], kuberay_schemas: Path):
    cluster = the(rendered(values), "RayCluster")
    assert errors_against_definition(cluster, kuberay_schemas) == []
    assert cluster["spec"]["authOptions"] == {"mode": "token"}


def test_policies_of_the_chart_open_what_those_of_the_folder_open():
    policies = [m for m in rendered({}) if m["kind"] == "NetworkPolicy"]
    check_who_reaches_what(policies, {"app.kubernetes.io/instance": "hall"})
    assert [m for m in rendered(BARE) if m["kind"] == "NetworkPolicy"] == []


def test_sqlite_is_written_by_one_gateway_and_postgres_by_several():
    one, many = gateway({}), gateway(POSTGRES)
    assert (one["replicas"], one["strategy"]["type"]) == (1, "Recreate")
    assert (many["replicas"], many["strategy"]["type"]) == (3, "RollingUpdate")
    url = {e["name"]: e for e in one["container"]["env"]}["WORLDLOOM_DATABASE_URL"]
    assert url["value"] == "sqlite:////table/gateway.db"
    url = {e["name"]: e for e in many["container"]["env"]}["WORLDLOOM_DATABASE_URL"]
    assert url["valueFrom"]["secretKeyRef"] == {"name": "db", "key": "url"}
    claims = {m["metadata"]["name"] for m in rendered(POSTGRES) if "Claim" in m["kind"]}
    assert claims == {"hall-data"}
    with pytest.raises(helm.HelmRenderError, match=r"set database\.secret"):
        rendered({"gateway": {"replicas": 2}})


def test_with_tls_kubernetes_asks_by_http_and_no_plain_text_is_left():
    container = gateway(TLS)["container"]
    assert "--plaintext" not in container["args"]
    assert {"--tls-cert=/tls/tls.crt", "--tls-key=/tls/tls.key"} <= set(container["args"])
    assert "--import-root=drone=/data/drone" in container["args"]
    assert container["readinessProbe"] == {
        "httpGet": {"path": "/readyz", "port": "http"},
        "periodSeconds": 5,
        "timeoutSeconds": 3,
    }
    plain = gateway({})["container"]
    assert "--plaintext" in plain["args"]
    assert plain["readinessProbe"]["grpc"] == {"port": 50051}


def test_a_digest_goes_before_the_tag():
    image = gateway(BARE)["container"]["image"]
    assert image == "registry.example.com/worldloom@sha256:" + "0" * 64


@pytest.mark.parametrize(
    "values",
    [
        {"image": {"tag": "latest"}},
        {"image": {"tag": "a b"}},
        {"gateway": {"extraArgs": ["--no-auth"]}},
        {"gateway": {"replicas": 0}},
        {"gateway": {"importRoots": {"etc": "/etc"}}},
        {"gateway": {"importRoots": {"up": "/data/../etc"}}},
        {"storage": {"size": "lots"}},
        {"networkPolicy": {"enabeld": False}},
        {"nonsense": 1},
    ],
    ids=str,
)
def test_values_that_make_no_sense_are_refused(values: dict[str, Any]):
    with pytest.raises(helm.HelmValuesError, match=next(iter(values))):
        rendered(values)


def test_versions_are_those_of_the_folder():
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    folder = DEPLOY / "kuberay"
    cluster = yaml.safe_load((folder / "raycluster.yaml").read_text())
    images = yaml.safe_load((folder / "kustomization.yaml").read_text())["images"]
    assert values["ray"]["version"] == cluster["spec"]["rayVersion"]
    assert {values["image"]["tag"], values["cudaImage"]["tag"], about["appVersion"]} == {
        image["newTag"] for image in images
    }
