"""Splats, opened by readers that are not the writers."""

import csv
import dataclasses
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from tests.gaussians import gaussians, same_turns
from tests.interop.conftest import HERE, Report
from tests.signpost import signpost
from tests.unit.test_export_splats import glb_columns
from worldloom.export import export_splats, read_splat_usd
from worldloom.export._axes import Placement
from worldloom.export._splat_gltf import write_splat_glb
from worldloom.export._splat_view import placed_splats
from worldloom.scene import Splats

SPLATS = gaussians(200, 3)
SPLAT_TRANSFORM = "splat-transform"


def write(folder: Path, kind: str, axes: str = "world") -> Path:
    scene = dataclasses.replace(signpost(textured=False), splats=SPLATS)
    return export_splats(scene, folder / "s", kind, axes=axes)


def transformed(home: Path, source: Path, target: Path) -> Path:
    """What PlayCanvas' converter makes of a file."""
    command = ["node", str(home / "node_modules" / ".bin" / SPLAT_TRANSFORM), "-q", "-g", "cpu"]
    subprocess.run([*command, str(source), str(target)], check=True, timeout=60)
    return target


def from_csv(path: Path) -> Splats:
    with path.open() as file:
        rows = list(csv.DictReader(file))

    def column(*names: str) -> np.ndarray:
        return np.array([[float(row[name]) for name in names] for row in rows], np.float32)

    turns = column("rot_0", "rot_1", "rot_2", "rot_3")
    rest = column(*(f"f_rest_{k}" for k in range(45))).reshape(-1, 3, 15).transpose(0, 2, 1)
    base = column("f_dc_0", "f_dc_1", "f_dc_2")[:, None]
    return Splats(
        column("x", "y", "z"),
        np.exp(column("scale_0", "scale_1", "scale_2")),
        turns / np.linalg.norm(turns, axis=1, keepdims=True),
        1 / (1 + np.exp(-column("opacity")[:, 0])),
        np.concatenate([base, rest], axis=1),
    )


def assert_same(found: Splats, kind: str) -> None:
    loose = kind == "spz"
    np.testing.assert_allclose(found.means_in_world, SPLATS.means_in_world, atol=1e-5)
    scale = np.log(found.scales_m / SPLATS.scales_m)
    np.testing.assert_allclose(scale, 0, atol=0.033 if loose else 1e-5)
    np.testing.assert_allclose(found.opacities, SPLATS.opacities, atol=0.003 if loose else 1e-5)
    np.testing.assert_allclose(found.sh, SPLATS.sh, atol=0.067 if loose else 1e-5)
    assert same_turns(found.rotations, SPLATS.rotations) < (0.006 if loose else 1e-3)


def version(home: Path, package: str) -> str:
    text = (home / "node_modules" / package / "package.json").read_text()
    return str(json.loads(text)["version"])


@pytest.mark.parametrize("kind", ["ply", "spz"])
def test_splat_transform(kind: str, tmp_path: Path, home: Path, report: Report) -> None:
    """PlayCanvas' converter shares its readers with SuperSplat."""
    found = from_csv(transformed(home, write(tmp_path, kind), tmp_path / "s.csv"))
    assert_same(found, kind)
    name = f"splat-transform {version(home, '@playcanvas/splat-transform')}"
    report(kind, name, "splats", f"{len(found)} splats, the same to the precision of the format")


def test_splat_transform_writes_the_glb_that_we_write(
    tmp_path: Path, home: Path, report: Report
) -> None:
    """It takes a ply for one with y down, and turns its colours by other formulas than ours."""
    theirs = glb_columns(transformed(home, write(tmp_path, "ply"), tmp_path / "theirs.glb"))
    turn = Placement(np.diag([-1.0, -1.0, 1.0]))
    write_splat_glb(placed_splats(SPLATS, turn), tmp_path / "ours.glb", 1.0)
    ours = glb_columns(tmp_path / "ours.glb")
    assert theirs.keys() <= ours.keys()
    for name in theirs.keys() - {"COLOR_0", "ROTATION"}:
        np.testing.assert_allclose(theirs[name], ours[name], atol=2e-5, err_msg=name)
    assert same_turns(theirs["ROTATION"], ours["ROTATION"]) < 1e-3
    name = f"splat-transform {version(home, '@playcanvas/splat-transform')}"
    words = f"writes the same {len(theirs)} attributes with the same values, turned as well"
    report("glb", name, "splats", words)


def test_gltf_validator(tmp_path: Path, home: Path, report: Report) -> None:
    command = ["node", str(HERE / "validate_gltf.js"), str(home / "node_modules")]
    process = subprocess.run(
        [*command, str(write(tmp_path, "glb"))],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    (said,) = json.loads(process.stdout)
    issues = said["issues"]
    # It is older than the extension, and knows no attributes with a colon.
    unknown = [m for m in issues["messages"] if "KHR_gaussian_splatting:" in m.get("pointer", "")]
    others = [m for m in issues["messages"] if m not in unknown]
    assert {m["code"] for m in unknown} == {"MESH_PRIMITIVE_INVALID_ATTRIBUTE"}
    assert {m["code"] for m in others} <= {"UNSUPPORTED_EXTENSION"}, others
    words = "0 errors but that it does not know the attributes of the extension"
    report("glb", f"glTF Validator {said['version']}", "splats", words)


@pytest.mark.parametrize("kind", ["usda", "usdc", "usdz"])
def test_openusd_validators(kind: str, tmp_path: Path, report: Report) -> None:
    from pxr import Usd, UsdValidation

    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    path = write(tmp_path, kind)
    found = UsdValidation.ValidationContext(validators).Validate(Usd.Stage.Open(str(path)))
    assert [error.GetMessage() for error in found] == []
    assert_same(read_splat_usd(path), kind)
    words = f"0 errors of {len(validators)} validators; {len(SPLATS)} splats, the same"
    report(kind, f"OpenUSD {metadata.version('usd-core')}", "splats", words)


@pytest.mark.parametrize("kind", ["ply", "spz"])
def test_gsply(kind: str, tmp_path: Path, home: Path, report: Report) -> None:
    """In a process of its own: it brings libraries of its own."""
    script = HERE / "read_splats.py"
    target = tmp_path / "read.npz"
    command = [sys.executable, str(script), str(home / "readers"), str(write(tmp_path, kind))]
    process = subprocess.run(
        [*command, str(target)], capture_output=True, text=True, timeout=100, check=True
    )
    with np.load(target) as read:
        found = Splats(**{name: read[name] for name in read.files})
    assert_same(found, kind)
    report(kind, f"gsply {process.stdout.strip()}", "splats", f"{len(found)} splats, the same")
