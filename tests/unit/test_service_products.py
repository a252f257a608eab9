"""The files that jobs make of a finished scene, made in this process."""

from dataclasses import replace
from pathlib import Path

import pytest
import trimesh

from cluster.worker.events import EventWriter
from cluster.worker.products import product_job
from cluster.worker.task import JobKind, RefineSpec, RenderSpec, SplatSpec, Task
from tests.gaussians import gaussians
from tests.shown import show_folder
from worldloom.errors import ConfigError, ExportError
from worldloom.export import (
    SPLAT_FORMATS,
    export_scene,
    load_manifest,
    load_scene,
    read_splat_ply,
    read_splat_usd,
    read_spz,
)


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    folder = tmp_path / "scene"
    folder.mkdir()
    show_folder(folder)
    return folder


def made(scene: Path, kind: JobKind, **spec: object) -> Path:
    folder = scene.parent / "job"
    folder.mkdir(exist_ok=True)
    events = EventWriter(folder)
    try:
        outcome = product_job(Task("job", kind, str(scene), **spec), folder, events)
    finally:
        events.close()
    assert outcome.output is not None
    path = folder / outcome.output.path
    assert path.stat().st_size == outcome.output.size_bytes
    return path


def test_splats_leave_in_every_format_of_the_exporter(scene: Path):
    with pytest.raises(ExportError, match="no splats"):
        made(scene, JobKind.EXPORT_SPLATS, splats=SplatSpec("ply"))
    splats = gaussians(30)
    export_scene(replace(load_scene(scene), splats=splats), scene, load_manifest(scene))
    readers = {"ply": read_splat_ply, "spz": read_spz} | dict.fromkeys(
        ("usda", "usdc", "usdz"), read_splat_usd
    )
    for name in SPLAT_FORMATS:
        path = made(scene, JobKind.EXPORT_SPLATS, splats=SplatSpec(name, "world"))
        if name in readers:
            assert len(readers[name](path)) == len(splats)
        else:
            assert b"KHR_gaussian_splatting" in path.read_bytes()
    with pytest.raises(ConfigError, match="unit"):
        made(scene, JobKind.EXPORT_SPLATS, splats=SplatSpec("ply", unit_m=2.0))


def test_views_and_meshes_are_made_and_what_is_not_there_is_named(scene: Path):
    assert made(scene, JobKind.RENDER_VIEWS, render=RenderSpec((0, 1), 64)).suffix == ".zip"
    with pytest.raises(ConfigError, match="view 99"):
        made(scene, JobKind.RENDER_VIEWS, render=RenderSpec((99,), 64))
    whole = len(load_scene(scene).mesh.faces)
    path = made(scene, JobKind.REFINE_MESH, refine=RefineSpec("glb", simplify_share=0.25))
    assert 0 < len(trimesh.load(path, force="mesh", process=False).faces) < 0.5 * whole
