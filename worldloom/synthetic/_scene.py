"""Synthetic scenes: built from a specification, rendered view by view, with exact truth."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64, Int32, UInt8

from worldloom.cameras import Camera, CameraIntrinsics, CameraTrajectory
from worldloom.errors import ConfigError
from worldloom.render import RayCaster, RayHits, RenderedView, face_normals, facing_normals
from worldloom.scene import Mesh
from worldloom.synthetic import _layouts, _paths
from worldloom.synthetic._canvas import Canvas
from worldloom.synthetic._lighting import vertex_light
from worldloom.synthetic._patches import Patch
from worldloom.synthetic._shading import (
    TexturedSurface,
    pack_textures,
    shade,
    srgb_from_linear,
)

_WHITE_POINT = 3.0


@dataclass(frozen=True)
class SceneSpec:
    """What to build; the same specification always gives the same pixels."""

    layout: Literal["room", "corner"] = "room"
    """`room`: a furnished room of 7 x 2.9 x 6 m. `corner`: two walls and two things, quick."""
    path: Literal["orbit", "walk", "laps"] = "orbit"
    """`orbit`: an arc around the middle; `walk`: once through; `laps`: for as long as needed."""
    frames: int = 48
    """Length of the video."""
    width_px: int = 320
    """Image width."""
    height_px: int = 240
    """Image height."""
    fov_deg: float = 65.0
    """Horizontal field of view, degrees."""
    arc_deg: float | None = None
    """Length of an orbit, degrees; None for what suits the layout."""
    frames_per_lap: int = 240
    """Frames of one lap of `laps`; fewer means longer steps."""
    supersampling: int = 2
    """Rays a pixel each way; more gives smoother edges and takes longer (squared)."""
    exposure_drift: float = 0.0
    """Slow change of brightness over the video, as a share; 0.1 is a lively automatic exposure."""
    noise_levels: float = 0.0
    """Deviation of sensor noise, in levels of 255."""
    seed: int = 0
    """Seed of textures, bumps, drift and noise."""

    def __post_init__(self) -> None:
        for field in ("frames", "width_px", "height_px", "supersampling", "frames_per_lap"):
            if getattr(self, field) < 1:
                raise ConfigError(
                    f"{field} must be at least 1: {getattr(self, field)}", field=field
                )
        if not 10 <= self.fov_deg <= 140:
            raise ConfigError(f"fov_deg must be 10 to 140: {self.fov_deg}", field="fov_deg")
        if not 0 <= self.exposure_drift < 1:
            raise ConfigError(
                f"exposure_drift must be 0 to below 1: {self.exposure_drift}",
                field="exposure_drift",
            )
        if self.noise_levels < 0 or self.seed < 0:
            raise ConfigError("noise_levels and seed must not be negative", field="noise_levels")

    @property
    def intrinsics(self) -> CameraIntrinsics:
        """The lens of every frame."""
        focal = 0.5 * self.width_px / math.tan(math.radians(self.fov_deg) / 2)
        return CameraIntrinsics(
            fx=focal,
            fy=focal,
            cx=self.width_px / 2,
            cy=self.height_px / 2,
            width_px=self.width_px,
            height_px=self.height_px,
        )


@dataclass(frozen=True, eq=False)
class SyntheticScene:
    """A built scene: truth mesh, cameras, and a renderer of exact views."""

    spec: SceneSpec
    mesh: Mesh
    """The truth, metres, y up."""
    trajectory: CameraTrajectory
    surface: TexturedSurface
    """The same faces with their textures and light."""
    face_normals: Float32[np.ndarray, "f 3"]
    caster: RayCaster

    def frames(self) -> Iterator[RenderedView]:
        """Renders all frames of the video, one at a time: image, exact depth and normals."""
        for index in range(self.spec.frames):
            yield self.frame(index)

    def frame(self, index: int) -> RenderedView:
        """Renders one frame of the video, with its exposure and noise."""
        gain = _exposure(self.spec, index)
        view = self.render(self.trajectory.cameras[index], gain)
        if not self.spec.noise_levels:
            return view
        rng = np.random.default_rng((self.spec.seed, 1, index))
        noise = rng.normal(scale=self.spec.noise_levels, size=view.image.shape)
        noisy = np.clip(np.rint(view.image + noise), 0, 255).astype(np.uint8)
        return replace(view, image=noisy)

    def render(self, camera: Camera, gain: float = 1.0) -> RenderedView:
        """Renders any view without noise.

        Args:
            camera: Undistorted camera.
            gain: Exposure over that of the scene.
        """
        height, width = camera.intrinsics.height_px, camera.intrinsics.width_px
        samples = self.spec.supersampling
        fine = self.caster.cast_camera(camera, samples)
        radiance = self._radiance(fine, camera, samples)
        radiance = radiance.reshape(height, samples, width, samples, 3).mean(axis=(1, 3))
        centre = fine if samples == 1 else self.caster.cast_camera(camera)
        return RenderedView(
            camera=camera,
            image=developed(radiance * gain),
            depth=centre.distance.reshape(height, width),
            normal_in_world=facing_normals(self.face_normals, centre, camera),
        )

    def _radiance(self, hits: RayHits, camera: Camera, samples: int) -> Float32[np.ndarray, "n 3"]:
        footprint = hits.distance / np.float32(camera.intrinsics.fx * samples)
        return shade(self.surface, hits.face, hits.barycentric, footprint)


def build_scene(spec: SceneSpec) -> SyntheticScene:
    """Builds a scene: geometry, textures, light and camera path.

    Args:
        spec: What to build.

    Raises:
        ConfigError: open3d, which casts the rays, cannot be loaded.
    """
    texel_m = float(np.clip(1.3 / spec.intrinsics.fx, 0.003, 0.04))
    spacing_m = float(np.clip(12 * texel_m, 0.06, 0.14))
    layout = {"room": _layouts.room, "corner": _layouts.corner}[spec.layout](spacing_m, spec.seed)
    vertices, inner, faces, face_patch = _joined(layout.patches)
    caster = RayCaster(vertices, faces, threads=0)
    normals = _vertex_normals(vertices, faces)
    light = vertex_light(caster, inner, normals, layout.lighting, rays=20 if texel_m < 0.01 else 12)
    textures = [_texture(patch, texel_m, spec.seed, k) for k, patch in enumerate(layout.patches)]
    texels, level_start, level_size = pack_textures(textures)
    surface = TexturedSurface(
        faces=faces,
        light=light,
        uv_m=np.concatenate([p.uv_m.reshape(-1, 2) for p in layout.patches]).astype(np.float32),
        patch=face_patch,
        size_m=np.array([p.size_m for p in layout.patches], np.float32),
        emission=np.array([p.emission for p in layout.patches], np.float32),
        texels=texels,
        level_start=level_start,
        level_size=level_size,
    )
    mesh = Mesh(vertices, faces, _vertex_colors(surface, spacing_m), normals.astype(np.float32))
    return SyntheticScene(
        spec, mesh, _trajectory(spec, layout), surface, face_normals(vertices, faces), caster
    )


def _joined(
    patches: tuple[Patch, ...],
) -> tuple[
    Float64[np.ndarray, "v 3"],
    Float64[np.ndarray, "v 3"],
    Int32[np.ndarray, "f 3"],
    Int32[np.ndarray, "f"],
]:
    """Joins patches: vertices, the points where they gather light, faces, patch of each face."""
    faces: list[np.ndarray] = []
    owner: list[np.ndarray] = []
    offset = 0
    for index, patch in enumerate(patches):
        faces.append(patch.faces() + np.int32(offset))
        owner.append(np.full(len(faces[-1]), index, np.int32))
        offset += patch.points_in_world.shape[0] * patch.points_in_world.shape[1]
    vertices = np.concatenate([p.points_in_world.reshape(-1, 3) for p in patches])
    inner = np.concatenate([p.inner_in_world.reshape(-1, 3) for p in patches])
    return vertices, inner, np.concatenate(faces).astype(np.int32), np.concatenate(owner)


def _vertex_normals(
    vertices: Float64[np.ndarray, "v 3"], faces: Int32[np.ndarray, "f 3"]
) -> Float64[np.ndarray, "v 3"]:
    corners = vertices[faces]
    weighted = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(normals, faces[:, k], weighted)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    return np.where(length > 0, normals / np.maximum(length, 1e-30), [0.0, 1.0, 0.0])


def _texture(patch: Patch, texel_m: float, seed: int, index: int) -> UInt8[np.ndarray, "h w 3"]:
    width_m, height_m = patch.size_m
    fine = texel_m if max(width_m, height_m) > 1.0 else texel_m / 2
    canvas = Canvas(width_m, height_m, fine, seed * 100_003 + index)
    return np.rint(np.clip(patch.material(canvas), 0.02, 0.98) * 255).astype(np.uint8)


def _vertex_colors(surface: TexturedSurface, spacing_m: float) -> UInt8[np.ndarray, "v 3"]:
    colors = np.zeros((len(surface.light), 3), np.uint8)
    faces = np.arange(len(surface.faces), dtype=np.int32)
    for k in range(3):
        weights = np.zeros((len(faces), 3), np.float32)
        weights[:, k] = 1
        footprint = np.full(len(faces), spacing_m, np.float32)
        colors[surface.faces[:, k]] = developed(shade(surface, faces, weights, footprint))
    return colors


def _trajectory(spec: SceneSpec, layout: _layouts.Layout) -> CameraTrajectory:
    arc_deg = layout.orbit.arc_deg if spec.arc_deg is None else spec.arc_deg
    paths = {
        "orbit": partial(_paths.orbit, arc_deg=arc_deg),
        "walk": _paths.walk,
        "laps": partial(_paths.laps, frames_per_lap=spec.frames_per_lap),
    }
    poses = paths[spec.path](layout, spec.frames)
    return CameraTrajectory(
        cameras=tuple(Camera(spec.intrinsics, pose) for pose in poses),
        frame_indices=tuple(range(spec.frames)),
        name=f"{spec.layout}_{spec.path}",
    )


def _exposure(spec: SceneSpec, index: int) -> float:
    phase = np.random.default_rng((spec.seed, 2)).uniform(0, 2 * math.pi, 2)
    wave = math.sin(phase[0] + index * 0.11) + 0.6 * math.sin(phase[1] + index * 0.037)
    return 1 + spec.exposure_drift * wave / 1.6


def developed(radiance: np.ndarray) -> UInt8[np.ndarray, "... 3"]:
    """Turns radiance into sRGB, bright parts rolling off.

    Extended Reinhard: Reinhard et al., "Photographic tone reproduction for digital images",
    SIGGRAPH 2002, equation 4.
    """
    toned = radiance * (1 + radiance / _WHITE_POINT**2) / (1 + radiance)
    return np.rint(255 * np.clip(srgb_from_linear(toned), 0, 1)).astype(np.uint8)
