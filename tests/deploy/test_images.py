import importlib.util
import re
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from types import ModuleType

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from tests.deploy.conftest import DEPLOY, ROOT, run, tool

FOLDER = DEPLOY / "docker"
FILES = sorted(FOLDER.glob("Dockerfile*"))
HEALTH = FOLDER / "health.py"
UNKNOWN_DIGEST = {"nvidia/cuda:13.0.1-devel-ubuntu22.04"}
"""Images of which only the tag is known: the compiler of a build stage."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_hadolint_has_nothing_to_say(path: object):
    done = run(tool("hadolint"), "--config", ".hadolint.yaml", str(path))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_hadolint_would_have_something_to_say(tmp_path: object):
    path = f"{tmp_path}/Dockerfile"
    with open(path, "w") as file:
        file.write("FROM debian:latest\nRUN cd /tmp && sudo ls | wc\n")
    done = run(tool("hadolint"), "--config", ".hadolint.yaml", path)
    assert done.returncode != 0
    assert "DL3007" in done.stdout


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_images_are_pinned_and_run_as_nobody_in_particular(path: object):
    text = path.read_text()  # type: ignore[attr-defined]
    bases = re.findall(r"^ARG (?:BASE|CUDA)=(\S+)$", text, re.MULTILINE)
    assert bases
    for base in bases:
        assert re.fullmatch(r"\S+:\S+@sha256:[0-9a-f]{64}", base) or base in UNKNOWN_DIGEST
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) <= {"${BASE}", "${CUDA}"}
    _, _, last = text.rpartition("\nFROM ")
    assert re.search(r"^USER 10001:10001$", last, re.MULTILINE)
    assert "RAY_AUTH_MODE=token" in last
    assert re.search(r"^HEALTHCHECK ", last, re.MULTILINE)
    assert "pip install" not in last
    installs = re.findall(r"pip install((?:[^&|]|\\\n)*)", text)
    free = [i for i in installs if "constraints.txt" not in i and "--no-deps" not in i]
    assert [i for i in free if "torch==" not in i and "^torch==" not in i] == []


def test_both_images_have_one_base():
    bases = {re.search(r"^ARG BASE=(\S+)$", f.read_text(), re.MULTILINE)[1] for f in FILES}  # type: ignore[index]
    assert len(bases) == 1
    assert f"python:3.{sys.version_info.minor}." in bases.pop() or sys.version_info.minor != 11


def copied(text: str) -> set[str]:
    """What a Dockerfile takes from the checkout."""
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    return {name for line in lines for name in line.split()}


def test_the_builder_sees_what_is_copied_and_no_more():
    rules = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert rules[0] == "*"
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    assert let_in == set.union(*(copied(path.read_text()) for path in FILES))
    assert all((ROOT / name).exists() for name in let_in)
    assert [name for name in let_in if fnmatch(name, "*secret*")] == []


def requirements_of_images() -> ModuleType:
    spec = importlib.util.spec_from_file_location("requirements", FOLDER / "requirements.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_requirements_are_those_of_the_project_without_torch():
    listed = requirements_of_images().requirements(["e57"])
    assert "numpy>=2.0" in listed
    assert "ray[default]>=2.50" in listed
    assert any(line.startswith("pye57") for line in listed)
    assert not any(line.startswith(("torch", "pytest", "transformers")) for line in listed)
    with pytest.raises(SystemExit, match="no extra 'nothing'"):
        requirements_of_images().requirements(["nothing"])


@pytest.fixture
def gateway() -> Iterator[tuple[health.HealthServicer, str]]:
    """A server of grpc.health.v1, as the gateway is one."""
    server = grpc.server(ThreadPoolExecutor(1))
    servicer = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield servicer, f"127.0.0.1:{port}"
    server.stop(None).wait()


def test_health_says_what_the_gateway_says(gateway: tuple[health.HealthServicer, str]):
    servicer, address = gateway
    done = run(sys.executable, str(HEALTH), address)
    assert (done.returncode, done.stdout) == (0, "SERVING\n")
    servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    done = run(sys.executable, str(HEALTH), address)
    assert (done.returncode, done.stdout) == (1, "NOT_SERVING\n")


def test_health_fails_where_nobody_answers():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run(sys.executable, str(HEALTH), address, "--timeout", "2")
    assert done.returncode == 2
    assert address in done.stderr
