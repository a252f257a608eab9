"""A coloured plane and exact views of it in a store, for tests of textures."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from tests.analytic import camera_at
from worldloom.bench import Bench, BenchConfig
from worldloom.cameras import Camera
from worldloom.inline import InlineRunner
from worldloom.merge import PART_FILE, MergedMesh, MeshPart
from worldloom.render import camera_rays
from worldloom.response import ViewExposure
from worldloom.scene import Frame, Mesh, Texture, UnwrappedMesh
from worldloom.store import ArtifactKey
from worldloom.surface import vertex_normals
from worldloom.texture import (
    StageRun,
    TextureConfig,
    TextureInputs,
    TextureSet,
    TextureView,
    load_maps,
    load_unwrapped,
    texture_surface,
)
from worldloom.texture._texels import texels_on_pages

HALF_M = 1.0
SIZE_PX = (160, 120)
Colors = Callable[[np.ndarray, np.ndarray], np.ndarray]


def waves(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Colours of the plane z = 0, levels; nowhere symmetric."""
    red = 128 + 60 * np.sin(5 * x + 1) + 30 * np.cos(9 * y)
    green = 120 + 50 * np.cos(6 * y - 0.5) + 40 * np.sin(4 * (x + y))
    blue = 110 + 70 * np.sin(3 * x - 7 * y)
    return np.stack([red, green, blue], axis=-1)


def plane(cells: int = 12, grey: int = 90) -> Mesh:
    """The square |x|, |y| <= 1 at z = 0, facing -z, where the cameras are."""
    at = np.linspace(-HALF_M, HALF_M, cells + 1)
    x, y = np.meshgrid(at, at)
    vertices = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1)
    index = np.arange(x.size).reshape(x.shape)
    a, b = index[:-1, :-1].ravel(), index[:-1, 1:].ravel()
    c, d = index[1:, :-1].ravel(), index[1:, 1:].ravel()
    faces = np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)]).astype(np.int32)
    colors = np.full((len(vertices), 3), grey, np.uint8)
    return Mesh(vertices, faces, colors, vertex_normals(vertices, faces))


def in_pieces(mesh: Mesh) -> Mesh:
    """Cut in four, so that charts are small enough for small pages."""
    middle = mesh.vertices_in_world[mesh.faces].mean(axis=1)
    quarter = (middle[:, 0] > 0) * 2 + (middle[:, 1] > 0)
    parts = [mesh.faces[quarter == k] for k in range(4)]
    vertices, faces, start = [], [], 0
    for part in parts:
        used, inverse = np.unique(part, return_inverse=True)
        # Apart, or they would become one chart again.
        points = mesh.vertices_in_world[used]
        vertices.append(points.mean(axis=0) + 0.95 * (points - points.mean(axis=0)))
        faces.append(inverse.reshape(-1, 3) + start)
        start += len(used)
    points, corners = np.concatenate(vertices), np.concatenate(faces).astype(np.int32)
    colors = np.full((len(points), 3), 90, np.uint8)
    return Mesh(points, corners, colors, vertex_normals(points, corners))


def cameras(count: int = 5) -> list[Camera]:
    """Cameras before the plane; each sees all of it."""
    places = [(0.0, 0.0), (0.7, 0.2), (-0.7, 0.3), (0.2, -0.6), (-0.3, 0.5)]
    return [
        camera_at(
            (x, y, -2.6), (0, 0, 0), width_px=SIZE_PX[0], height_px=SIZE_PX[1], focal_px=130.0
        )
        for x, y in places[:count]
    ]


def picture(camera: Camera, colors: Colors = waves, samples: int = 3) -> np.ndarray:
    """What a camera sees of the plane, the mean over each pixel; black beyond the square."""
    lens = camera.intrinsics
    fine = camera.resized(lens.width_px * samples, lens.height_px * samples)
    rays = camera_rays(fine).astype(np.float64)
    reach = -camera.centre_in_world[2] / rays[:, 2]
    at = camera.centre_in_world + rays * reach[:, None]
    shown = colors(at[:, 0], at[:, 1])
    shown[(np.abs(at[:, :2]) > HALF_M).any(axis=1)] = 0
    grid = shown.reshape(lens.height_px, samples, lens.width_px, samples, 3)
    return np.clip(np.rint(grid.mean(axis=(1, 3))), 0, 255).astype(np.uint8)


def store_image(
    bench: Bench, view: int, camera: Camera, image: np.ndarray, mask: np.ndarray | None = None
) -> Frame:
    """Puts a frame into the store."""
    key = ArtifactKey(f"frame/00/{view}")
    encoded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1]
    bench.store.write(key, "image.png", encoded.tobytes())
    if mask is not None:
        data = cv2.imencode(".png", mask.astype(np.uint8) * 255)[1].tobytes()
        bench.store.write(key, "mask.png", data)
    return Frame(view, f"ring/{view}", "ring", view, camera, key, mask is not None)


def store_mesh(bench: Bench, mesh: Mesh) -> MergedMesh:
    """Puts a mesh into the store, as the merge does."""
    key = ArtifactKey("make-part/00/mesh")
    rows = np.arange(len(mesh.vertices_in_world))
    blank = {"colors": np.zeros((len(rows), 3), np.uint8)}
    blank["normals_in_world"] = np.zeros((len(rows), 3), np.float32)
    arrays = blank | {name: value for name, value in vars(mesh).items() if value is not None}
    bench.write_arrays(key, PART_FILE, edge_keys=rows, corner_keys=rows, **arrays)
    part = MeshPart(0, key, len(rows), len(mesh.faces), 1, 0, 0)
    return MergedMesh((part,), part.vertices, part.faces, 1, 0, 0)


@dataclass(frozen=True)
class Made:
    """Textures, with the bench that they lie on."""

    bench: Bench
    references: TextureSet
    unwrapped: UnwrappedMesh
    albedo: Texture
    normal: Texture
    roughness: Texture


def plane_inputs(
    bench: Bench,
    mesh: Mesh | None = None,
    images: list[np.ndarray] | None = None,
    masks: list[np.ndarray | None] | None = None,
    exposures: list[ViewExposure | None] | None = None,
) -> TextureInputs:
    """The plane, or another mesh, and its views."""
    seen = cameras()
    shown = [picture(camera) for camera in seen] if images is None else images
    views = tuple(
        TextureView(
            store_image(bench, view, camera, shown[view], None if masks is None else masks[view]),
            None if exposures is None else exposures[view],
            None,
        )
        for view, camera in enumerate(seen[: len(shown)])
    )
    surface = store_mesh(bench, plane() if mesh is None else mesh)
    return TextureInputs(surface, views, 0.02)


def bench_at(folder: object) -> Bench:
    return Bench(BenchConfig(str(folder)))


def textured(
    bench: Bench, inputs: TextureInputs, config: TextureConfig | None = None, workers: int = 1
) -> Made:
    """Makes textures; nothing may fail."""
    run = StageRun(InlineRunner(bench.config, workers))
    made = texture_surface(run, inputs, config or TextureConfig())
    assert not run.failures, run.failures
    assert made is not None
    maps = load_maps(bench, made)
    unwrapped = load_unwrapped(bench, made)
    return Made(bench, made, unwrapped, maps["albedo"], maps["normal"], maps["roughness"])


def places_of_texels(unwrapped: UnwrappedMesh, side_px: int) -> tuple[np.ndarray, ...]:
    """Rows, columns and world points of the texels inside of faces on page 0."""
    at = texels_on_pages(unwrapped, 0, side_px, 0.0)
    corners = unwrapped.mesh.vertices_in_world[unwrapped.mesh.faces[at.face]]
    points = (at.barycentric[..., None] * corners).sum(axis=1)
    return at.row, at.column, points


def psnr_db(found: np.ndarray, truth: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((found.astype(float) - truth) ** 2)))


def darker(image: np.ndarray, levels: float) -> np.ndarray:
    return np.clip(np.rint(image - levels), 0, 255).astype(np.uint8)
