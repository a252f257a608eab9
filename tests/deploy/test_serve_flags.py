"""Manifests start the gateway with flags that it has."""

import importlib.util
import re
import sys

import pytest
import yaml

from tests.deploy.conftest import DEPLOY, ROOT, documents, run
from tests.deploy.test_chart import TLS, gateway
from tests.deploy.test_compose import composed


def flags_in_manifests() -> set[str]:
    (deployment,) = (
        document
        for document in documents(DEPLOY / "kuberay" / "gateway.yaml")
        if document["kind"] == "Deployment"
    )
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    arguments = [
        *container["args"],
        *gateway({})["container"]["args"],
        *gateway(TLS)["container"]["args"],
        *composed()["services"]["gateway"]["command"],
    ]
    for path in (DEPLOY / "docker").glob("Dockerfile*"):
        (line,) = re.findall(r"^CMD (\[.*\])$", path.read_text(), re.MULTILINE)
        arguments += yaml.safe_load(line)
    return {argument.partition("=")[0] for argument in arguments if argument.startswith("--")}


def test_every_flag_is_one_of_serve():
    if importlib.util.find_spec("cluster.gateway") is None:
        pytest.skip("this checkout has no gateway, so no `worldloom serve`")
    done = run(sys.executable, "-m", "cluster", "serve", "--help", PYTHONPATH=str(ROOT))
    known = set(re.findall(r"--[a-z][a-z-]*", done.stdout))
    assert flags_in_manifests() - known == set()


def test_flags_are_those_that_a_gateway_in_a_container_needs():
    assert flags_in_manifests() >= {"--data", "--address", "--http", "--ray-address", "--drain-s"}


def test_every_command_of_the_guide_names_files_that_are_there():
    text = (ROOT / "docs" / "deployment.md").read_text()
    named = set(re.findall(r"(?<![\w/.])deploy/[\w./-]*[\w]", text))
    made = {name for name in named if name.startswith("deploy/secrets")}
    assert made
    patterns = {name for name in named - made if not (ROOT / name).exists()}
    assert [name for name in patterns if not list(ROOT.glob(name + "*"))] == []
