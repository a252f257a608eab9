"""Tools that check manifests, and where the manifests are."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
REQUIRED = "WORLDLOOM_NEEDS_DEPLOY_TOOLS"
"""Set where a missing tool is a failure and no reason to skip."""

Manifest = dict[str, Any]


def missing(reason: str) -> None:
    if os.environ.get(REQUIRED):
        pytest.fail(reason)
    pytest.skip(reason)


def tool(name: str) -> str:
    """A program that a wheel brought, beside this Python."""
    return str(Path(sys.executable).parent / name)


def run(*command: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="session")
def promtool() -> str:
    here = ROOT / ".deploy-check" / "usr" / "bin" / "promtool"
    found = shutil.which("promtool") or (str(here) if here.exists() else None)
    if found is None:
        missing("no promtool: run deploy/checks.sh, which takes it from Debian's package")
    return str(found)


@pytest.fixture(scope="session")
def kuberay_schemas() -> Path:
    folder = ROOT.parent / "shared" / "schemas" / "kuberay"
    if not folder.is_dir():
        pytest.skip(f"no definitions of KubeRay's resources: {folder} does not exist")
    return folder


def documents(path: Path) -> list[Manifest]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def kubernetes_files() -> list[Path]:
    return sorted((DEPLOY / "kuberay").glob("*.yaml"))


def pods(manifest: Manifest) -> Iterator[tuple[str, Manifest]]:
    """Every pod template below a manifest, with the path that leads to it."""
    waiting: list[tuple[str, Any]] = [(manifest["kind"], manifest)]
    while waiting:
        path, node = waiting.pop()
        if isinstance(node, dict):
            if isinstance(node.get("containers"), list):
                yield path, node
            waiting += [(f"{path}.{key}", value) for key, value in node.items()]
        elif isinstance(node, list):
            waiting += [(f"{path}[{i}]", value) for i, value in enumerate(node)]
