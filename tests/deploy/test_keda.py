"""The ScaledObject against the fields that KEDA reads.

Its definition is no part of Kubernetes' schemas. Fields and rules are those of
https://github.com/kedacore/keda/blob/01ee1d30b296b6cd0347641d5084962f4081b6e0/apis/keda/v1alpha1/scaledobject_types.go
and, of a trigger, of withtriggers_types.go beside it.
"""

from typing import Any

import pytest
import yaml

from tests.deploy.conftest import DEPLOY, documents

COUNTS = {
    "pollingInterval": int,
    "initialCooldownPeriod": int,
    "cooldownPeriod": int,
    "idleReplicaCount": int,
    "minReplicaCount": int,
    "maxReplicaCount": int,
}
SPEC = COUNTS | {"scaleTargetRef": dict, "advanced": dict, "triggers": list, "fallback": dict}
TARGET = {"name": str, "apiVersion": str, "kind": str, "envSourceContainerName": str}
TRIGGER = {
    "type": str,
    "name": str,
    "useCachedMetrics": bool,
    "metadata": dict,
    "authenticationRef": dict,
    "metricType": str,
}


def fits(value: dict[str, Any], fields: dict[str, type], required: set[str]) -> bool:
    known = all(name in fields and type(item) is fields[name] for name, item in value.items())
    return known and required <= set(value)


def errors(manifest: dict[str, Any]) -> list[str]:
    """What KEDA would not understand, or refuse."""
    found: list[str] = []
    spec = manifest["spec"]
    if (manifest["apiVersion"], manifest["kind"]) != ("keda.sh/v1alpha1", "ScaledObject"):
        found.append("kind")
    if not fits(spec, SPEC, {"scaleTargetRef", "triggers"}):
        return [*found, "spec"]
    if not fits(spec["scaleTargetRef"], TARGET, {"name"}):
        found.append("scaleTargetRef")
    for trigger in spec["triggers"]:
        if not fits(trigger, TRIGGER, {"type", "metadata"}):
            found.append("trigger")
        elif not all(isinstance(value, str) for value in trigger["metadata"].values()):
            found.append("metadata")
        elif trigger.get("metricType", "Value") not in ("AverageValue", "Value", "Utilization"):
            found.append("metricType")
    least = max(1, spec.get("minReplicaCount", 0))
    if least > spec.get("maxReplicaCount", 100):
        found.append("replicas")
    return found


def test_keda_understands_the_scaled_object_and_finds_its_target():
    (manifest,) = documents(DEPLOY / "kuberay" / "keda.yaml")
    assert errors(manifest) == []
    gateways = [
        item
        for item in documents(DEPLOY / "kuberay" / "gateway.yaml")
        if item["kind"] == "Deployment"
    ]
    target = manifest["spec"]["scaleTargetRef"]["name"]
    assert [item["metadata"]["name"] for item in gateways] == [target]
    assert manifest["metadata"]["namespace"] == gateways[0]["metadata"]["namespace"]
    # A share of CPU is one of what a container asks for.
    (container,) = gateways[0]["spec"]["template"]["spec"]["containers"]
    assert "cpu" in container["resources"]["requests"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"minReplicaCuont": 2}, "spec"),
        ({"minReplicaCount": "2"}, "spec"),
        ({"minReplicaCount": 9}, "replicas"),
        ({"scaleTargetRef": {"kind": "Deployment"}}, "scaleTargetRef"),
        ({"triggers": [{"type": "cpu", "metadata": {"value": 60}}]}, "metadata"),
        ({"triggers": [{"type": "cpu"}]}, "trigger"),
    ],
)
def test_wrong_fields_are_found(change: dict[str, Any], error: str):
    text = (DEPLOY / "kuberay" / "keda.yaml").read_text()
    manifest = yaml.safe_load(text)
    manifest["spec"] |= change
    assert errors(manifest) == [error]
