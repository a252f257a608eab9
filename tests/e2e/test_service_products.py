"""Every kind of work on a scene, by the real process of a job on a real gateway."""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh

from cluster.client import (
    CameraSpec,
    Client,
    InputSpec,
    JobRecord,
    OptimizeSpec,
    ReconstructSpec,
    RefineSpec,
    RenderSpec,
    SplatSpec,
    State,
)
from tests.gaussians import gaussians
from tests.serving import made_token, serving
from worldloom.cameras import TrajectoryFormat
from worldloom.export import (
    SPLAT_FORMATS,
    export_scene,
    load_manifest,
    load_scene,
    read_splat_ply,
    read_splat_usd,
    read_spz,
)
from worldloom.synthetic import SceneSpec, build_scene, write_scene

pytestmark = pytest.mark.timeout(600)
VIEWS = 5


class Service:
    """A gateway with one scene, and its caller."""

    def __init__(self, client: Client, scene_id: str, scene_folder: Path) -> None:
        self.client = client
        self.scene_id = scene_id
        self.scene_folder = scene_folder

    def made(self, begun: JobRecord, folder: Path) -> Path:
        """The file that an operation makes, downloaded."""
        done = self.client.wait_operation(begun.id)
        assert done.state is State.SUCCEEDED, done.fault
        assert done.asset_id is not None
        return self.client.download(done.asset_id, folder)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    spec = SceneSpec(layout="corner", frames=VIEWS, width_px=96, height_px=72, supersampling=1)
    write_scene(build_scene(spec), folder / "corner")
    token = made_token(folder / "data")
    with serving(folder / "data") as (_, port), Client(f"127.0.0.1:{port}", token) as client:
        media = client.upload(folder / "corner" / "video.mp4")
        cameras = client.upload(folder / "corner" / "camera.json")
        wanted = ReconstructSpec(
            (InputSpec(media.id, cameras.id),),
            resolution_px=96,
            texture_resolution_px=128,
            max_texture_faces=500,
        )
        job = client.wait_job(client.create_job(wanted).id)
        assert job.state is State.SUCCEEDED, job.fault
        assert job.scene_id is not None
        yield Service(client, job.scene_id, folder / "data" / "scenes" / job.scene_id)


def test_a_mesh_is_refined(service: Service, tmp_path: Path):
    spec = RefineSpec("glb", simplify_share=0.25)
    path = service.made(service.client.refine_mesh(service.scene_id, spec), tmp_path)
    faces = len(trimesh.load(path, force="mesh", process=False).faces)
    assert 0 < faces < 0.5 * service.client.get_scene(service.scene_id).faces


def test_textures_are_optimised(service: Service, tmp_path: Path):
    begun = service.client.optimize_textures(service.scene_id, OptimizeSpec(1))
    model = trimesh.load(service.made(begun, tmp_path), force="mesh", process=False)
    assert model.visual.material.baseColorTexture.size[0] >= 64
    assert len(model.visual.uv) == len(model.vertices)


def test_views_are_rendered(service: Service, tmp_path: Path):
    begun = service.client.render_views(service.scene_id, RenderSpec((0, 3), 64))
    with zipfile.ZipFile(service.made(begun, tmp_path)) as archive:
        names = archive.namelist()
        pictures = [cv2.imdecode(np.frombuffer(archive.read(n), np.uint8), 1) for n in names]
    assert [Path(name).name for name in names] == ["view_00000.png", "view_00003.png"]
    assert {picture.shape for picture in pictures} == {(48, 64, 3)}
    assert all(picture.std() > 5 for picture in pictures)


def test_a_view_that_is_not_there_is_an_error_of_the_caller(service: Service):
    begun = service.client.render_views(service.scene_id, RenderSpec((VIEWS,)))
    done = service.client.wait_operation(begun.id)
    assert done.fault is not None
    assert done.fault.reason == "CONFIG"


def test_cameras_are_exported(service: Service, tmp_path: Path):
    spec = CameraSpec(TrajectoryFormat.TUM)
    path = service.made(service.client.export_cameras(service.scene_id, spec), tmp_path)
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    assert len(lines) == VIEWS
    assert all(len(line.split()) == 8 for line in lines)


def test_splats_are_exported_in_every_format(service: Service, tmp_path: Path):
    client, scene_id = service.client, service.scene_id
    none = client.wait_operation(client.export_splats(scene_id, SplatSpec("ply")).id)
    assert none.fault is not None
    assert none.fault.reason == "EXPORT"
    # Training takes longer than a test may: this scene is given some.
    splats = gaussians(30)
    scene = replace(load_scene(service.scene_folder), splats=splats)
    export_scene(scene, service.scene_folder, load_manifest(service.scene_folder))
    readers = {"ply": read_splat_ply, "spz": read_spz} | dict.fromkeys(
        ("usda", "usdc", "usdz"), read_splat_usd
    )
    for name in SPLAT_FORMATS:
        folder = tmp_path / name
        folder.mkdir()
        path = service.made(client.export_splats(scene_id, SplatSpec(name, "world")), folder)
        assert path.suffix == f".{name}"
        if name in readers:
            assert len(readers[name](path)) == len(splats)
        else:
            assert path.read_bytes().startswith(b"glTF")
            assert b"KHR_gaussian_splatting" in io.BytesIO(path.read_bytes()).read(4096)
