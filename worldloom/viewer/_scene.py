"""A finished scene on the screen."""

import logging
from typing import Any

import numpy as np

from worldloom.bench import Bench
from worldloom.display import (
    mesh_within,
    seam_squares,
    shard_boxes,
    stored_chunks,
    stored_views,
    surroundings,
)
from worldloom.errors import WorldloomError
from worldloom.scene import DepthRef, Mesh, ReconstructedScene
from worldloom.viewer import _things as things
from worldloom.viewer._config import ViewerConfig
from worldloom.viewer._layers import Layers
from worldloom.viewer._measure import MeasureTool, Picker
from worldloom.viewer._panel import ViewPanel, add_pictures, plain_markdown, set_stage

_logger = logging.getLogger(__name__)
_FRUSTUM_SHARE = 0.05


class SceneDisplay:
    """The layers and the panel of a finished scene.

    Args:
        server: A viser server.
        scene: What to show.
        bench: Store of its run; None where there is none.
        config: Budgets.
    """

    def __init__(
        self,
        server: Any,
        scene: ReconstructedScene,
        bench: Bench | None,
        config: ViewerConfig,
    ) -> None:
        self._server = server
        self._scene = scene
        self._bench = bench
        self._config = config
        self._evidence: dict[str, Any] = _evidence(scene)
        self._around = surroundings(scene.mesh, scene.cameras)
        self._light = mesh_within(scene.mesh, config.max_faces)
        stored = {} if bench is None else stored_views(bench, scene.cameras, self._evidence)
        self._stored: dict[int, DepthRef] = stored
        set_stage(server, self._around)
        server.gui.add_markdown(_headline(scene, self._light))
        with server.gui.add_folder("Show"):
            self.layers = Layers(server)
            self._add_products()
            self._add_parts()
        add_pictures(server, self._around)
        picker = Picker.of(self._light, scene.point_cloud, self._around.centre)
        with server.gui.add_folder("Measure"):
            MeasureTool(server, picker, self._around.centre, self._around.radius)
        self._panel = ViewPanel(server, scene.cameras, stored, bench, self._around, config)

    def _add_products(self) -> None:
        splats = self._scene.splats
        scene, view, origin = self._scene, self._server.scene, self._around.centre
        unwrapped, albedo = scene.unwrapped, scene.textures.get("albedo")
        light = self._light
        has_mesh = len(light.faces) > 0
        textured = unwrapped is not None and albedo is not None and len(unwrapped.mesh.faces) > 0
        if unwrapped is not None and albedo is not None and textured:
            self.layers.add(
                "Textured mesh",
                lambda path: things.add_textured(
                    view, path, unwrapped, albedo, scene.cameras, origin
                ),
                shown=True,
            )
        if has_mesh:
            self.layers.add(
                "Mesh",
                lambda path: things.add_mesh(view, path, light, scene.cameras, origin),
                shown=not textured,
            )
            for name, wireframe in (("Bare surface", False), ("Wireframe", True)):
                self.layers.add(
                    name,
                    lambda path, wireframe=wireframe: things.add_clay(
                        view, path, light, origin, wireframe=wireframe
                    ),
                )
        size = float(self._evidence.get("cloud_spacing_m") or 0.003 * self._around.radius)
        self.layers.add(
            "Points",
            lambda path: things.add_cloud(
                view, path, scene.point_cloud, origin, most=self._config.max_points, size=size
            ),
            shown=not has_mesh,
        )
        if splats is not None:
            self.layers.add(
                "Splats", lambda path: things.add_splats(view, path, splats, origin, self._config)
            )
        self.layers.add("Cameras", self._add_cameras, shown=True, hint="Click one to go there")

    def _add_parts(self) -> None:
        bench = self._bench
        if bench is None:
            return
        view, origin, evidence = self._server.scene, self._around.centre, self._evidence
        self.layers.add(
            "Memory shards",
            lambda path: things.add_boxes(
                view, path, shard_boxes(bench, evidence), origin, hue=0.58
            ),
            hint="Parts in which the point cloud was fused",
        )
        self.layers.add(
            "Chunks",
            lambda path: things.add_boxes(
                view,
                path,
                [chunk.box() for chunk in stored_chunks(bench, evidence)],
                origin,
                hue=0.33,
            ),
            hint="Parts in which the surface was made; their boxes overlap",
        )
        self.layers.add(
            "Seams",
            lambda path: things.add_squares(
                view, path, seam_squares(stored_chunks(bench, evidence)), origin
            ),
            hint="Where two chunks meet",
        )

    def _add_cameras(self, path: str) -> None:
        cameras = self._scene.cameras
        pictured = _evenly(sorted(self._stored), self._config.max_images)
        paths: dict[str, int] = {}
        names = cameras.frame_names or ("",) * len(cameras)
        for view, (camera, name) in enumerate(zip(cameras, names, strict=True)):
            number = paths.setdefault(name.rpartition("/")[0], len(paths))
            handle = things.add_camera(
                self._server.scene,
                f"{path}/{view}",
                camera,
                self._around.centre,
                size=_FRUSTUM_SHARE * self._around.radius,
                color=things.path_color(number),
                image=self._small_image(view) if view in pictured else None,
            )
            handle.on_click(lambda event, view=view: self._panel.choose(view, event.client))

    def _small_image(self, view: int) -> np.ndarray | None:
        ref = self._stored[view]
        scale = min(1.0, self._config.image_px / max(ref.width_px, ref.height_px))
        width, height = max(1, round(ref.width_px * scale)), max(1, round(ref.height_px * scale))
        assert self._bench is not None  # stored views come from it
        try:
            return self._bench.image(ref.frame, width, height)
        except WorldloomError as error:
            _logger.warning("camera %s is shown without its image: %s", ref.frame.name, error)
            return None


def _evidence(scene: ReconstructedScene) -> dict[str, Any]:
    found = scene.metadata.get("evidence")
    return dict(found) if isinstance(found, dict) else {}


def _headline(scene: ReconstructedScene, light: Mesh) -> str:
    lines = [
        f"{len(scene.cameras):,} views, {len(scene.point_cloud):,} points, "
        f"{len(scene.mesh.faces):,} faces"
    ]
    if len(light.faces) < len(scene.mesh.faces):
        lines.append(f"The mesh is shown with {len(light.faces):,} faces.")
    if scene.metadata.get("degraded"):
        failures = scene.metadata.get("failures")
        count = len(failures) if isinstance(failures, (list, tuple)) else 0
        lines.append(f"**Incomplete:** {count} work items could not be made.")
    warnings = scene.metadata.get("warnings")
    if isinstance(warnings, (list, tuple)):
        lines += [f"Warning: {plain_markdown(str(warning))}" for warning in warnings[:5]]
    return "\n\n".join(lines)


def _evenly(views: list[int], most: int) -> set[int]:
    if len(views) <= most:
        return set(views)
    return {views[int((k + 0.5) * len(views) / most)] for k in range(most)}
