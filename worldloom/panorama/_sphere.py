"""Perspective views that cover the sphere: where they look, how wide and how large they are."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float64

from worldloom.cameras import Camera, CameraIntrinsics
from worldloom.errors import ConfigError

Sampling = Literal["cube", "icosahedron"]

_LEAST_FOV_DEG: dict[Sampling, float] = {
    "cube": 90.0,
    # Twice the angle from a corner of the icosahedron to the middle of a face: a view that is
    # narrower leaves gaps between three corners.
    "icosahedron": 2 * math.degrees(math.acos(math.sqrt((5 + 2 * math.sqrt(5)) / 15))),
}
_USUAL_FOV_DEG: dict[Sampling, float] = {"cube": 100.0, "icosahedron": 90.0}
_WIDEST_FOV_DEG = 140.0


@dataclass(frozen=True)
class SphereSampling:
    """How a panorama is cut into perspective views."""

    sampling: Sampling = "cube"
    """cube: 6 views along the axes, two of them straight up and down. icosahedron: 12 views at its
    corners, with more overlap and less stretch at the rims."""
    fov_deg: float | None = None
    """Field of view of each view, both ways, degrees; unset: 100 for the cube, 90 for the
    icosahedron. Wider views overlap more and stretch more."""
    view_px: int | None = None
    """Side of a view, pixels; unset: as many as keep the resolution of the panorama in the middle
    of the view."""

    def __post_init__(self) -> None:
        if self.sampling not in get_args(Sampling):
            raise ConfigError(
                f"sampling must be cube or icosahedron, got {self.sampling!r}", field="sampling"
            )
        least = _LEAST_FOV_DEG[self.sampling]
        if not least - 1e-9 <= self.view_fov_deg <= _WIDEST_FOV_DEG:
            raise ConfigError(
                f"fov_deg must be {least:.1f} to {_WIDEST_FOV_DEG:g} degrees for the "
                f"{self.sampling}, got {self.view_fov_deg:g}; narrower views leave gaps between "
                "them",
                field="fov_deg",
            )
        if self.view_px is not None and self.view_px < 16:
            raise ConfigError(
                f"view_px must be at least 16, got {self.view_px}; leave it out to keep the "
                "resolution of the panorama",
                field="view_px",
            )

    @property
    def view_fov_deg(self) -> float:
        """Field of view of each view, degrees."""
        return _USUAL_FOV_DEG[self.sampling] if self.fov_deg is None else self.fov_deg

    def intrinsics(self, panorama_width_px: int) -> CameraIntrinsics:
        """Returns the lens of every view of a panorama of some width.

        In the middle of a view one pixel is as wide as one on the equator of the panorama, unless
        `view_px` says otherwise; towards the rim of the view its pixels get finer.
        """
        half = math.tan(math.radians(self.view_fov_deg) / 2)
        native = 2 * half * panorama_width_px / math.tau
        side = self.view_px or max(2 * math.ceil(native / 2), 16)
        focal = side / (2 * half)
        return CameraIntrinsics(focal, focal, side / 2, side / 2, side, side)

    def cameras(
        self, panorama_width_px: int, world_from_pano: Float64[np.ndarray, "4 4"]
    ) -> tuple[Camera, ...]:
        """Returns the cameras of the views of one panorama, in a fixed order.

        Args:
            panorama_width_px: Width of the panorama.
            world_from_pano: Pose of the panorama; all views have its centre, to the last bit.
        """
        lens = self.intrinsics(panorama_width_px)
        cameras: list[Camera] = []
        for pano_from_view in view_rotations(self.sampling):
            world_from_view = world_from_pano.copy()
            world_from_view[:3, :3] = world_from_pano[:3, :3] @ pano_from_view
            cameras.append(Camera(lens, world_from_view))
        return tuple(cameras)


def view_rotations(sampling: Sampling) -> tuple[Float64[np.ndarray, "3 3"], ...]:
    """Returns `pano_from_view` of each view: its columns are right, down and forward."""
    return tuple(_upright(forward) for forward in _directions(sampling))


def _directions(sampling: Sampling) -> Float64[np.ndarray, "n 3"]:
    """Unit viewing directions; the first looks along +z, up is -y."""
    if sampling == "cube":
        axes = [(0, 0, 1), (1, 0, 0), (0, 0, -1), (-1, 0, 0), (0, -1, 0), (0, 1, 0)]
        return np.array(axes, np.float64)
    # An icosahedron that stands on a corner: two poles and two rings of five, at latitudes of
    # +-atan(1/2), turned against each other by 36 degrees.
    ring = math.atan(0.5)
    found = [(0.0, -1.0, 0.0), (0.0, 1.0, 0.0)]
    for index in range(10):
        longitude = index * math.tau / 10
        latitude = -ring if index % 2 == 0 else ring
        level = math.cos(latitude)
        found.append((level * math.sin(longitude), math.sin(latitude), level * math.cos(longitude)))
    return np.array([*found[2:], *found[:2]])


def _upright(forward: Float64[np.ndarray, "3"]) -> Float64[np.ndarray, "3 3"]:
    """The rotation of a level view; one that looks up or down has its top towards -z or +z."""
    if abs(forward[1]) > 1 - 1e-9:
        right = np.array([1.0, 0.0, 0.0])
    else:
        right = np.cross([0.0, 1.0, 0.0], forward)
        right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward], axis=-1)
    # Whole numbers stay whole: cube views see exactly along the axes.
    return np.where(np.abs(rotation) < 1e-15, 0.0, rotation)
