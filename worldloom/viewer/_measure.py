"""Measuring: where a ray meets the scene, and how far two such places lie apart."""

import threading
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy.spatial.distance import euclidean

from worldloom.render import RayCaster
from worldloom.scene import Mesh, PointCloud

_RAY_WIDTH = 0.01
"""A point is hit within this of the ray, as a share of its distance."""
_MARK_SHARE = 0.006


class Picker:
    """Finds the place at which a ray meets what is shown.

    Args:
        mesh: Light mesh, relative to the origin of the viewer; may be empty.
        cloud: Points for where the mesh has holes, relative to the same origin.
    """

    def __init__(self, mesh: Mesh, cloud: Float64[np.ndarray, "n 3"]) -> None:
        self._caster = RayCaster(mesh.vertices_in_world, mesh.faces) if len(mesh.faces) else None
        self._points = cloud

    @staticmethod
    def of(mesh: Mesh, cloud: PointCloud, origin: Float64[np.ndarray, "3"]) -> "Picker":
        """Returns the picker of products in the world."""
        moved = Mesh(mesh.vertices_in_world - origin, mesh.faces)
        return Picker(moved, cloud.points_in_world - origin)

    def hit(
        self, origin: Float64[np.ndarray, "3"], direction: Float64[np.ndarray, "3"]
    ) -> Float64[np.ndarray, "3"] | None:
        """Returns the first place on a ray: on the mesh, else the nearest point close to it."""
        length = float(np.linalg.norm(direction))
        if not length > 0:
            return None
        towards = direction / length
        if self._caster is not None:
            hits = self._caster.cast(origin[None], towards[None])
            if hits.face[0] >= 0:
                return origin + float(hits.distance[0]) * towards
        along = (self._points - origin) @ towards
        aside = np.linalg.norm(self._points - origin - along[:, None] * towards, axis=1)
        near = np.flatnonzero((along > 0) & (aside < _RAY_WIDTH * along))
        return self._points[near[along[near].argmin()]] if len(near) else None


class MeasureTool:
    """Two clicks on the scene give their distance, in world units.

    Args:
        server: A viser server.
        picker: Finds the places.
        origin: Origin of the viewer, world.
        radius: Half the size of the scene, world unit.
    """

    def __init__(
        self, server: Any, picker: Picker, origin: Float64[np.ndarray, "3"], radius: float
    ) -> None:
        self._server = server
        self._picker = picker
        self._origin = origin
        self._radius = radius
        self._places: list[np.ndarray] = []
        self._marks: list[Any] = []
        self._lock = threading.Lock()
        self._box = server.gui.add_checkbox(
            "Two clicks", False, hint="Click two places of the scene; dragging still turns it"
        )
        self._told = server.gui.add_markdown("")
        self._box.on_update(lambda _event: self._switch())

    def _switch(self) -> None:
        self._clear()
        if self._box.value:
            self._told.content = "Click the first place."
            self._server.scene.on_click()(self._clicked)
        else:
            self._told.content = ""
            self._server.scene.remove_click_callback(self._clicked)

    def _clicked(self, event: Any) -> None:
        place = self._picker.hit(np.array(event.ray_origin), np.array(event.ray_direction))
        with self._lock:
            if place is None:
                self._told.content = "Nothing there. Click on the surface or on a point."
                return
            if len(self._places) == 2:
                self._clear()
            self._places.append(place)
            self._mark(place)
            self._told.content = measured_text(self._places, self._origin)
            if len(self._places) == 2:
                self._marks.append(
                    self._server.scene.add_line_segments(
                        "/measured/line",
                        np.stack(self._places)[None].astype(np.float32),
                        (255, 210, 60),
                        thickness=3.0,
                        thickness_units="screen",
                    )
                )

    def _mark(self, place: np.ndarray) -> None:
        self._marks.append(
            self._server.scene.add_icosphere(
                f"/measured/{len(self._places)}",
                radius=_MARK_SHARE * self._radius,
                color=(255, 210, 60),
                position=place,
                cast_shadow=False,
                receive_shadow=False,
            )
        )

    def _clear(self) -> None:
        for mark in self._marks:
            mark.remove()
        self._marks.clear()
        self._places.clear()


def measured_text(places: list[np.ndarray], origin: Float64[np.ndarray, "3"]) -> str:
    """Returns what was measured so far, as Markdown.

    Args:
        places: One or two, relative to the origin.
        origin: Origin of the viewer, world.
    """
    told = [
        f"{name}: " + ", ".join(f"{value:.4g}" for value in (place + origin).tolist())
        for name, place in zip("AB", places, strict=False)
    ]
    if len(places) == 2:
        told.insert(0, f"**Distance: {euclidean(*places):.4g}** world units")
    else:
        told.append("Click the second place.")
    return "\n\n".join(told)
