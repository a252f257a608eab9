import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import ValidationError
from ray.autoscaler._private.util import prepare_config, validate_config

from tests.deploy.conftest import DEPLOY

FILES = sorted((DEPLOY / "ray").glob("*.yaml"))


def read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_launcher_takes_it(path: Path):
    prepared = prepare_config(read(path))
    validate_config(prepared)  # raises where it does not
    assert prepared["cluster_name"] == read(path)["cluster_name"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_launcher_would_refuse_it_with_a_slip(path: Path):
    wrong = copy.deepcopy(read(path))
    wrong["idle_timeout_minuets"] = wrong.pop("idle_timeout_minutes")
    with pytest.raises(ValidationError, match="minuets"):
        validate_config(prepare_config(wrong))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_ray_is_reached_by_ssh_only_and_asks_for_its_token(path: Path):
    config = read(path)
    options = " ".join(config["docker"]["run_options"])
    assert "RAY_AUTH_MODE=token" in options
    # The file holds the name of the variable, never a token.
    assert re.search(r"RAY_AUTH_TOKEN=\$RAY_AUTH_TOKEN\b", options)
    assert "--publish" not in options
    assert "--privileged" not in options
    head = " ".join(config["head_start_ray_commands"])
    assert "--dashboard-host=127.0.0.1" in head
    rules = config["provider"].get("security_group", {}).get("IpPermissions", [])
    assert all((rule["FromPort"], rule["ToPort"]) == (22, 22) for rule in rules)
    assert all(r["CidrIp"] != "0.0.0.0/0" for rule in rules for r in rule["IpRanges"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_variable_of_the_file_is_named_in_its_first_lines(path: Path):
    text = path.read_text()
    used = set(re.findall(r"\$(WORLDLOOM_\w+|RAY_AUTH_TOKEN)\b", text))
    command = next(line for line in text.splitlines() if "envsubst" in line)
    assert {name for name in used if f"${name}" in command} == used


def test_gpus_are_given_to_containers_of_gpu_nodes():
    for name in ("aws", "gcp"):
        config = read(DEPLOY / "ray" / f"cluster-{name}.yaml")
        docker = config["available_node_types"]["gpu"]["docker"]
        assert "worldloom-cuda" in docker["worker_image"]
        assert docker["worker_run_options"] == ["--gpus all"]
        assert config["available_node_types"]["head"]["resources"] == {"CPU": 0}
