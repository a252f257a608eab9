"""The products: what flows between the stages and what a caller gets in the end."""

import math
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int, Int32, UInt8

from worldloom.cameras import Camera, CameraTrajectory
from worldloom.errors import InputError
from worldloom.store import ArtifactKey

TextureKind = Literal["albedo", "normal", "roughness"]


@dataclass(frozen=True, eq=False)
class Frame:
    """One view: a reference to its stored, undistorted image, and its camera."""

    view_id: int
    """Number of the view in the whole scene, dense from 0, the same in every run."""
    name: str
    """Readable name, `trajectory/index`."""
    trajectory: str
    """Name of the trajectory that it belongs to."""
    index: int
    """Frame number in its source."""
    camera: Camera
    """Pinhole camera at the size of the stored image."""
    image: ArtifactKey
    """Artifact with `image.png` (RGB, uint8) and, if `has_mask`, `mask.png` (255 = data)."""
    has_mask: bool = False
    """True where some pixels hold no data."""

    def size_within(self, longer_px: int) -> tuple[int, int]:
        """Returns width and height with a longer side of at most `longer_px`; never enlarged."""
        intrinsics = self.camera.intrinsics
        scale = min(1.0, longer_px / max(intrinsics.width_px, intrinsics.height_px))
        return (
            max(1, round(intrinsics.width_px * scale)),
            max(1, round(intrinsics.height_px * scale)),
        )


@dataclass(frozen=True, eq=False)
class DepthRef:
    """A reference to the stored depth map of one view."""

    frame: Frame
    artifact: ArtifactKey
    """Artifact with `depth.npz`: the array fields of `DepthMap`."""
    width_px: int
    height_px: int

    @property
    def camera(self) -> Camera:
        """Camera at the size of the map."""
        return self.frame.camera.resized(self.width_px, self.height_px)


@dataclass(frozen=True, eq=False)
class DepthMap:
    """Depth along +z of one view."""

    view_id: int
    camera: Camera
    """Camera at the size of the map."""
    depth: Float32[np.ndarray, "h w"]
    """World unit; 0 = unknown."""
    confidence: Float32[np.ndarray, "h w"]
    """0 (none) to 1 (certain)."""
    normal_in_world: Float32[np.ndarray, "h w 3"]
    """Unit surface normals that point towards the camera; 0 = unknown."""

    def trusted(self, min_confidence: float) -> "DepthMap":
        """Returns the map without the depth below a confidence, 0 to 1."""
        kept = (self.confidence > 0) & (self.confidence >= np.float32(min_confidence))
        return replace(
            self,
            depth=np.where(kept, self.depth, np.float32(0)),
            confidence=np.where(kept, self.confidence, np.float32(0)),
            normal_in_world=np.where(kept[..., None], self.normal_in_world, np.float32(0)),
        )


@dataclass(frozen=True, eq=False)
class PointCloud:
    """Points with attributes, in canonical order."""

    points_in_world: Float64[np.ndarray, "n 3"]
    normals_in_world: Float32[np.ndarray, "n 3"]
    """Unit normals; 0 = unknown."""
    colors: UInt8[np.ndarray, "n 3"]
    """sRGB."""
    confidence: Float32[np.ndarray, "n"]
    """0 to 1."""
    count: Int32[np.ndarray, "n"]
    """Number of views that saw the point."""

    def __len__(self) -> int:
        return len(self.points_in_world)


@dataclass(frozen=True, eq=False)
class Splats:
    """3D Gaussians, in the conventions of 3DGS but linear: no logarithm, no logit.

    Raises:
        InputError: arrays that do not go together, or values that no Gaussian has.
    """

    means_in_world: Float32[np.ndarray, "n 3"]
    scales_m: Float32[np.ndarray, "n 3"]
    """Standard deviations along the axes, world unit; above 0."""
    rotations: Float32[np.ndarray, "n 4"]
    """Unit quaternions wxyz, world_from_gaussian."""
    opacities: Float32[np.ndarray, "n"]
    """0 to 1."""
    sh: Float32[np.ndarray, "n k 3"]
    """Colour coefficients in the frame of the world, k = (degree + 1)^2, degree 0 to 3, in the
    order and basis of 3DGS; sRGB, 0.5 is added to their sum."""

    def __post_init__(self) -> None:
        n = len(self.means_in_world)
        shapes = (self.means_in_world.shape, self.scales_m.shape, self.rotations.shape)
        if shapes != ((n, 3), (n, 3), (n, 4)) or self.opacities.shape != (n,):
            raise InputError(
                f"means, scales, rotations and opacities of splats must be [n 3], [n 3], [n 4] "
                f"and [n], got {[*shapes, self.opacities.shape]}"
            )
        if self.sh.ndim != 3 or self.sh.shape[1:] not in [(k, 3) for k in (1, 4, 9, 16)]:
            raise InputError(
                f"sh of splats must be [n k 3] with k 1, 4, 9 or 16, got {self.sh.shape}"
            )
        if len(self.sh) != n:
            raise InputError(f"sh of splats must have {n} rows as the means, got {len(self.sh)}")
        arrays = (self.means_in_world, self.scales_m, self.rotations, self.opacities, self.sh)
        if not all(np.isfinite(array).all() for array in arrays):
            raise InputError("splats must be finite numbers; drop those that are not")
        if (self.scales_m <= 0).any() or (self.opacities < 0).any() or (self.opacities > 1).any():
            raise InputError("splats must have scales above 0 and opacities from 0 to 1")
        if (np.abs(np.linalg.norm(self.rotations, axis=1) - 1) > 1e-3).any():
            raise InputError("rotations of splats must be unit quaternions; normalise them")

    def __len__(self) -> int:
        return len(self.means_in_world)

    @property
    def sh_degree(self) -> int:
        """Degree of the spherical harmonics, 0 to 3."""
        return math.isqrt(self.sh.shape[1]) - 1

    def select(self, kept: Bool[np.ndarray, "n"] | Int[np.ndarray, "m"] | slice) -> "Splats":
        """Returns some of the Gaussians, by mask, index or slice."""
        return Splats(
            self.means_in_world[kept],
            self.scales_m[kept],
            self.rotations[kept],
            self.opacities[kept],
            self.sh[kept],
        )


@dataclass(frozen=True)
class Chunk:
    """A box of the global voxel lattice with one owner."""

    chunk_id: int
    blocks: tuple[tuple[int, int, int], ...]
    """Lattice coordinates of its blocks, sorted."""
    views: tuple[int, ...]
    """Ids of the views that may see it, sorted."""


@dataclass(frozen=True, eq=False)
class Mesh:
    """A triangle mesh; faces wind counter-clockwise seen from outside."""

    vertices_in_world: Float64[np.ndarray, "v 3"]
    faces: Int32[np.ndarray, "f 3"]
    colors: UInt8[np.ndarray, "v 3"] | None = None
    """sRGB."""
    normals_in_world: Float32[np.ndarray, "v 3"] | None = None


@dataclass(frozen=True, eq=False)
class UnwrappedMesh:
    """A mesh light enough to be shown, and the one UV set that all its textures share."""

    mesh: Mesh
    """The decimated surface, with normals; colours where it has them."""
    uv: Float32[np.ndarray, "f 3 2"]
    """Texture coordinates of each face corner, 0 to 1 in its page, origin at the bottom left."""
    page: Int32[np.ndarray, "f"]
    """Page of each face, from 0; as UDIM tile 1001 + page."""


@dataclass(frozen=True, eq=False)
class Texture:
    """One texture map on the UV set of an `UnwrappedMesh`."""

    kind: TextureKind
    """albedo: sRGB. normal: tangent space, OpenGL (+Y up), 128 = 0. roughness: linear."""
    pages: tuple[UInt8[np.ndarray, "h w c"], ...]
    """The images, top row first, one a page; three channels, roughness one."""
    covered: tuple[Bool[np.ndarray, "h w"], ...]
    """True where a texel belongs to a face, before dilation; one a page."""


@dataclass(frozen=True, eq=False)
class ReconstructedScene:
    """A reconstructed scene."""

    mesh: Mesh
    """The full surface, with vertex colours."""
    point_cloud: PointCloud
    cameras: CameraTrajectory
    """Cameras used, one a view."""
    unwrapped: UnwrappedMesh | None = None
    """What the textures lie on; None where none was baked."""
    textures: dict[TextureKind, Texture] = field(default_factory=dict[TextureKind, Texture])
    """By kind; empty where none was baked."""
    metadata: dict[str, object] = field(default_factory=dict[str, object])
    """The manifest: parameters, provenance, timings, metrics, failures, files."""
    splats: Splats | None = None
    """Gaussians; None where the method makes none."""
