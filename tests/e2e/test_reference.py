"""The API reference builds from the docstrings, without a warning."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import worldloom

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(200)
def test_the_reference_names_all_that_is_public(tmp_path: Path):
    command = [sys.executable, "-W", "error::UserWarning", ROOT / "deploy" / "reference.py"]
    done = subprocess.run(
        [*command, tmp_path], cwd=ROOT, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Warn" not in done.stderr
    page = (tmp_path / "worldloom.html").read_text()
    names = [
        name
        for name in dir(worldloom)
        if name[0] != "_" and not inspect.ismodule(getattr(worldloom, name))
    ]
    assert len(names) > 10
    assert [name for name in names if f'id="{name}"' not in page] == []
    for path in ("worldloom/report.html", "worldloom/viewer.html", "cluster/ray_runner.html"):
        assert (tmp_path / path).is_file()
