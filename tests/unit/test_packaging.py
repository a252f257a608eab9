import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"worldloom", "actors", "cluster"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy, so that neither old build folders leak in nor new ones stay."""
    source = tmp_path_factory.mktemp("source")
    shutil.copytree(
        ROOT,
        source,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns(
            *("__pycache__", ".*", "*.egg-info", "build", "dist", "out", "docs")
        ),
    )
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"),
            *("--disable-pip-version-check", "--wheel-dir", str(folder), str(source)),
        ],
        check=True,
        capture_output=True,
        timeout=100,
    )
    (built,) = folder.glob("*.whl")
    return built


def test_top_level_of_the_wheel_is_the_three_packages(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == PACKAGES
    assert {f"{package}/__init__.py" for package in PACKAGES} <= set(names)
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    assert not [name for name in names if name.endswith((".nbc", ".nbi", ".pyc"))]


def test_wheel_holds_every_module_of_the_checkout(wheel: Path):
    in_wheel = {n for n in zipfile.ZipFile(wheel).namelist() if n.endswith(".py")}
    in_checkout = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    }
    assert in_wheel == in_checkout


def test_wheel_holds_the_page_of_the_report(wheel: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    page = ("report.html.j2", "style.css", "bundle.js", "bundle.json", "three.LICENSE.txt")
    assert {f"worldloom/report/page/{name}" for name in page} <= names


def test_wheel_holds_the_status_pages(wheel: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    folder = ROOT / "cluster" / "web" / "page"
    assert {f"cluster/web/page/{path.name}" for path in folder.iterdir()} <= names


def test_metadata_of_the_wheel(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        (info,) = {n.split("/")[0] for n in archive.namelist() if n.split("/")[0].endswith("info")}
        metadata = Parser().parsestr(archive.read(f"{info}/METADATA").decode())
        scripts = archive.read(f"{info}/entry_points.txt").decode()
        assert "Apache License" in archive.read(f"{info}/licenses/LICENSE").decode()
    assert metadata["Name"] == "worldloom"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert "worldloom = cluster.cli:main" in scripts


def test_wheel_imports_in_a_clean_environment(wheel: Path, tmp_path: Path):
    """Third parties come from this environment by path, so nothing is downloaded."""
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    site = Path(
        subprocess.run(
            [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
    )
    zipfile.ZipFile(wheel).extractall(site)
    third_parties = Path(pytest.__file__).parent.parent
    (site / "third_parties.pth").write_text(f"{third_parties}\n")
    done = subprocess.run(
        [
            *(str(python), "-c"),
            "import worldloom, actors, cluster.cli\n"
            "print(worldloom.__file__, actors.__file__, cluster.cli.__file__, sep='\\n')",
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert all(Path(line).is_relative_to(site) for line in done.stdout.split())


def test_every_dependency_is_pinned_to_a_version_that_it_allows():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {
        Requirement(line).name: next(iter(Requirement(line).specifier)).version
        for line in lines
        if not line.startswith("#")
    }
    declared = [
        Requirement(line)
        for group in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
        for line in group
    ]
    wrong = [r for r in declared if not r.specifier.contains(pins[canonicalize_name(r.name)])]
    assert wrong == []
    assert pins["torch"] == "2.13.0"
    assert not [name for name in pins if name.startswith("nvidia")]


def test_every_dependency_has_its_reason():
    reasons = (ROOT / "docs" / "dependencies.md").read_text()
    names = [
        Requirement(line).name
        for group in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
        for line in group
    ]
    assert [name for name in names if f"| `{name}` |" not in reasons] == []


def test_the_third_parties_that_open3d_brings_do_not_shadow_our_packages():
    third_parties = Path(pytest.__file__).parent.parent
    assert [name for name in PACKAGES if (third_parties / name).exists()] == []
