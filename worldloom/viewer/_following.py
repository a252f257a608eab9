"""A running job on the screen."""

from typing import Any

import numpy as np

from worldloom.bench import Bench
from worldloom.cameras import Camera, CameraTrajectory
from worldloom.display import Surroundings, surroundings
from worldloom.scene import Mesh
from worldloom.viewer import _things as things
from worldloom.viewer._config import ViewerConfig
from worldloom.viewer._live import LivePoints, LiveStore
from worldloom.viewer._panel import set_stage

_FRUSTUM_SHARE = 0.05


class Following:
    """Shows a running job: its points as they come.

    Args:
        server: A viser server.
        config: Budgets.
    """

    def __init__(self, server: Any, config: ViewerConfig) -> None:
        self._server = server
        self._config = config
        self._live: LiveStore | None = None
        self._handles: dict[str, list[Any]] = {}
        self._around: Surroundings | None = None
        self._count = 0
        self._told = server.gui.add_markdown("Waiting for the first depth map.")

    def look(self, bench: Bench) -> None:
        """Adds what the store has got since the last look."""
        if self._live is None:
            self._live = LiveStore(bench, self._config.live_points)
        look = self._live.poll(self._config.poll_artifacts)
        for name in look.stale:
            self._drop(name)
        for points in look.points:
            self._add(points)
        if look.points:
            views = sum(name.startswith("view-") for name in self._handles)
            shards = len(self._handles) - views
            self._told.content = (
                f"**Running.** Depth of {views} views"
                + (f", {shards} shards of the memory" if shards else "")
                + ". The scene is shown when it is whole."
            )

    def remove(self) -> None:
        """Takes away all that was shown."""
        for name in list(self._handles):
            self._drop(name)
        self._told.remove()

    def _drop(self, name: str) -> None:
        for handle in self._handles.pop(name, ()):
            handle.remove()

    def _add(self, points: LivePoints) -> None:
        if not len(points.points_in_world):
            return
        if self._around is None:
            if points.camera is None:
                return
            self._around = _first_look(self._server, points, points.camera)
        self._drop(points.name)
        origin = self._around.centre
        path = f"/live/{points.name}"
        handles = [
            self._server.scene.add_point_cloud(
                path,
                (points.points_in_world - origin).astype(np.float32),
                points.colors,
                point_size=points.spacing,
                point_shading="flat",
                precision="float32",
            )
        ]
        if points.camera is not None:
            handles.append(
                things.add_camera(
                    self._server.scene,
                    f"{path}-camera",
                    points.camera,
                    origin,
                    size=_FRUSTUM_SHARE * self._around.radius,
                    color=things.path_color(0),
                    image=None,
                )
            )
        self._handles[points.name] = handles


def _first_look(server: Any, points: LivePoints, camera: Camera) -> Surroundings:
    """Sets the scene up round the first points of a job."""
    mesh = Mesh(points.points_in_world, np.zeros((0, 3), np.int32))
    around = surroundings(mesh, CameraTrajectory((camera,), (0,)))
    set_stage(server, around)
    return around
