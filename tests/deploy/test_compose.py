import json
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.conftest import DEPLOY, run, tool

OURS = {"gateway", "ray-head", "ray-worker"}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return composed()["services"]


def composed(file: Path = DEPLOY / "compose.yaml") -> dict[str, Any]:
    """The file as Docker Compose itself reads it, every profile on."""
    command = (tool("docker-compose"), "-f", str(file), "--profile", "*", "config")
    done = run(*command, "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_compose_refuses_what_is_wrong(tmp_path: Path):
    text = (DEPLOY / "compose.yaml").read_text()
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(text.replace("cap_drop:", "cap_dorp:"))
    done = run(tool("docker-compose"), "-f", str(wrong), "config", "-q")
    assert done.returncode != 0
    assert "cap_dorp" in done.stderr


def test_only_loopback_is_published_and_nothing_of_ray(services: dict[str, Any]):
    published = {
        (name, port["host_ip"], port["target"])
        for name, service in services.items()
        for port in service.get("ports", [])
    }
    assert published == {
        ("gateway", "127.0.0.1", 50051),
        ("gateway", "127.0.0.1", 8080),
        ("grafana", "127.0.0.1", 3000),
    }
    assert composed()["networks"]["ray"]["internal"] is True
    assert [name for name, s in services.items() if "network_mode" in s] == []
    for name in ("ray-head", "ray-worker"):
        assert set(services[name]["networks"]) == {"ray"}


def test_everything_is_confined(services: dict[str, Any]):
    assert set(services) >= OURS
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name
        assert int(service["mem_limit"]) > 0, name
        assert ":latest" not in service["image"], name
        mounts = service.get("volumes", [])
        assert [m for m in mounts if m["type"] == "bind" and not m.get("read_only")] == [], name
        assert "docker.sock" not in json.dumps(mounts), name
    for name in OURS:
        assert services[name]["user"] == "10001:10001"


def test_ray_has_its_token_from_a_secret_and_no_file_holds_one(services: dict[str, Any]):
    for name in OURS:
        environment = services[name]["environment"]
        assert environment["RAY_AUTH_MODE"] == "token"
        assert environment["RAY_AUTH_TOKEN_PATH"] == "/run/secrets/ray_token"
        assert [s["source"] for s in services[name]["secrets"]] == ["ray_token"]
    assert set(composed()["secrets"]) == {"ray_token", "grafana_password", "metrics_token"}
    ignored = (DEPLOY.parent / ".gitignore").read_text().split()
    assert "deploy/secrets/" in ignored


def test_gateway_waits_for_ray_and_all_share_the_data(services: dict[str, Any]):
    assert services["gateway"]["depends_on"]["ray-head"]["condition"] == "service_healthy"
    assert services["ray-worker"]["deploy"]["replicas"] == 2
    for name in OURS:
        volumes = {v["target"]: v["source"] for v in services[name]["volumes"]}
        assert volumes["/data"] == "data"
        assert services[name]["image"] == services["gateway"]["image"]
        assert services[name]["healthcheck"]["test"][0] == "CMD"
