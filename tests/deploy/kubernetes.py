"""Rules that every Kubernetes manifest of ours keeps, however it was made."""

from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

from tests.deploy.conftest import Manifest, pods

OLDEST, NEWEST = "1.29", "1.34"
OF_OTHERS = {"RayCluster": "rayclusters", "RayJob": "rayjobs", "ScaledObject": None}
"""Kinds that Kubernetes does not know, and the file of their definition, where there is one."""

RAY = {"app.kubernetes.io/name": "worldloom", "app.kubernetes.io/component": "ray"}
GATEWAY = {"app.kubernetes.io/name": "worldloom", "app.kubernetes.io/component": "gateway"}
STRANGER = {"app": "other"}
CLIENT = {"worldloom.dev/client": "true"}


def check_against_kubernetes(manifest: Manifest) -> None:
    for version in (OLDEST, NEWEST):
        kubernetes_validate.validate(manifest, version, strict=True)


@cache
def _definition(path: Path) -> Any:
    versions = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)["spec"]["versions"]
    (schema,) = (v["schema"]["openAPIV3Schema"] for v in versions if v["name"] == "v1")
    _close(schema)
    schema["properties"]["metadata"] = {"type": "object"}
    return schema


def _close(node: Any) -> None:
    """Makes fields that a definition does not name an error, as the server's strict mode does."""
    if isinstance(node, dict):
        loose = node.get("x-kubernetes-preserve-unknown-fields")
        if node.get("type") == "object" and "properties" in node and not loose:
            node.setdefault("additionalProperties", False)
        for value in node.values():
            _close(value)
    elif isinstance(node, list):
        for value in node:
            _close(value)


def errors_against_definition(manifest: Manifest, folder: Path) -> list[str]:
    path = folder / f"ray.io_{OF_OTHERS[manifest['kind']]}.yaml"
    validator = jsonschema.Draft202012Validator(_definition(path))
    return [f"{list(e.path)}: {e.message}" for e in validator.iter_errors(manifest)]


def check_pods(manifest: Manifest) -> int:
    """Every pod keeps to the level `restricted`, has a read-only root, and says what it needs."""
    count = 0
    for path, pod in pods(manifest):
        count += 1
        account = pod["securityContext"]
        assert account["runAsNonRoot"] is True, path
        assert account["runAsUser"] >= 10000, path
        assert account["seccompProfile"] == {"type": "RuntimeDefault"}, path
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod), path
        assert all("hostPath" not in volume for volume in pod["volumes"]), path
        if "ray-head" not in {c["name"] for c in pod["containers"]}:
            assert pod["automountServiceAccountToken"] is False, path
        for container in pod["containers"]:
            confined = container["securityContext"]
            assert confined["readOnlyRootFilesystem"] is True, path
            assert confined["allowPrivilegeEscalation"] is False, path
            assert confined["capabilities"] == {"drop": ["ALL"]}, path
            asked, most = container["resources"]["requests"], container["resources"]["limits"]
            assert {"cpu", "memory"} <= set(asked), path
            if container["name"] in {"ray-head", "ray-worker"}:
                # Ray books memory by the limit; what it books has to be there.
                assert most["memory"] == asked["memory"], path
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            assert mounted <= {volume["name"] for volume in pod["volumes"]}, path
            assert {"/tmp"} <= {mount["mountPath"] for mount in container["volumeMounts"]}, path
            secrets = [e for e in container.get("env", []) if "TOKEN" in e["name"]]
            assert all("secretKeyRef" in e["valueFrom"] for e in secrets), path
    return count


def _matches(selector: Manifest, labels: dict[str, str]) -> bool:
    assert set(selector) <= {"matchLabels"}, "the test reads no other selectors"
    return selector.get("matchLabels", {}).items() <= labels.items()


def _is_peer(peer: Manifest, labels: dict[str, str], namespace: str | None) -> bool:
    if "namespaceSelector" in peer:
        name = {} if namespace is None else {"kubernetes.io/metadata.name": namespace}
        if not _matches(peer["namespaceSelector"], name):
            return False
    elif namespace is not None:
        return False
    return _matches(peer.get("podSelector", {}), labels)


def reaches(
    policies: list[Manifest],
    source: dict[str, str],
    target: dict[str, str],
    port: int,
    namespace: str | None = None,
) -> bool:
    """Whether a pod reaches a port of another: NetworkPolicy's rules, ingress side.

    Args:
        policies: Those of one namespace.
        source: Labels of the pod that calls.
        target: Labels of the pod that is called.
        port: TCP port that is called.
        namespace: Where the caller is; None in the same namespace.
    """
    ours = [p["spec"] for p in policies if _matches(p["spec"]["podSelector"], target)]
    ours = [spec for spec in ours if "Ingress" in spec["policyTypes"]]
    if not ours:
        return True
    for spec in ours:
        for rule in spec.get("ingress", []):
            ports = rule.get("ports")
            if ports is not None and port not in {p["port"] for p in ports}:
                continue
            if any(_is_peer(peer, source, namespace) for peer in rule["from"]):
                return True
    return False


def check_who_reaches_what(policies: list[Manifest], own: dict[str, str]) -> None:
    """Only the gateway and the operator reach Ray, and only its job server."""
    ray, gateway = RAY | own, GATEWAY | own
    ports = (6379, 8265, 10001, 8090, 52365)
    assert [p for p in ports if reaches(policies, gateway, ray, p)] == [8265]
    assert [p for p in ports if reaches(policies, ray, ray, p)] == list(ports)
    for stranger in (STRANGER, CLIENT, {}):
        assert [p for p in ports if reaches(policies, stranger, ray, p)] == [], stranger
        assert [p for p in ports if reaches(policies, stranger, ray, p, "elsewhere")] == []
    # The label alone does not open Ray from another namespace.
    assert [p for p in ports if reaches(policies, gateway, ray, p, "elsewhere")] == []
    operator = {"app.kubernetes.io/name": "kuberay-operator"}
    assert [p for p in ports if reaches(policies, operator, ray, p, "kuberay")] == [8265]
    assert [p for p in ports if reaches(policies, STRANGER, ray, p, "monitoring")] == [8090]
    assert [p for p in ports if reaches(policies, STRANGER, ray, p, "ingress")] == []
    assert reaches(policies, STRANGER, gateway, 50051, "ingress")
    assert reaches(policies, CLIENT, gateway, 50051)
    assert not reaches(policies, STRANGER, gateway, 50051)
    assert not reaches(policies, STRANGER, gateway, 50051, "elsewhere")
    assert not reaches(policies, ray, gateway, 50051)
    assert not reaches(policies, STRANGER, gateway, 50051, "monitoring")
    assert reaches(policies, STRANGER, gateway, 8080, "monitoring")
