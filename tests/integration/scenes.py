"""A tiny synthetic scene through the whole pipeline, and what has to be the same of it."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from worldloom.api import ARTIFACTS_FOLDER, RunnerFactory, reconstruct_files
from worldloom.config import ReconstructionConfig
from worldloom.scene import ReconstructedScene
from worldloom.surface import SurfaceConfig
from worldloom.synthetic import SceneSpec, build_scene, write_scene

SPEC = SceneSpec(layout="corner", frames=8, width_px=128, height_px=96)
CONFIG = ReconstructionConfig(resolution=128, surface=SurfaceConfig(min_component_faces=20))
SMALL_CHUNKS = replace(CONFIG, surface=replace(CONFIG.surface, chunk_blocks=48))


@dataclass(frozen=True)
class Made:
    """A reconstruction, and where its files are."""

    scene: ReconstructedScene
    folder: Path

    @property
    def artifacts(self) -> Path:
        return self.folder / ARTIFACTS_FOLDER


def write_input(folder: Path) -> Path:
    """Writes the video and the trajectory."""
    write_scene(build_scene(SPEC), folder)
    return folder


def make(source: Path, out: Path, config: ReconstructionConfig, runner: RunnerFactory) -> Made:
    """Reconstructs the scene that `write_input` wrote."""
    scene = reconstruct_files(
        [source / "video.mp4"],
        out,
        config,
        trajectories=[source / "camera.json"],
        runner=runner,
    )
    return Made(scene, out)


def arrays_of(scene: ReconstructedScene) -> dict[str, np.ndarray]:
    """The arrays of the mesh, of the point cloud and of the textures."""
    found: dict[str, np.ndarray] = {}
    for product in (scene.mesh, scene.point_cloud):
        for name, value in vars(product).items():
            if isinstance(value, np.ndarray):
                found[f"{type(product).__name__}.{name}"] = value
    if scene.unwrapped is not None:
        found["UnwrappedMesh.uv"] = scene.unwrapped.uv
        found["UnwrappedMesh.faces"] = scene.unwrapped.mesh.faces
    for kind, texture in scene.textures.items():
        found |= {f"{kind}.{page}": image for page, image in enumerate(texture.pages)}
    return found


def digests(artifacts: Path, pattern: str = "*") -> dict[str, str]:
    """The digests of files below a folder, by relative path."""
    return {
        str(path.relative_to(artifacts)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(artifacts.rglob(pattern))
        if path.is_file()
    }
