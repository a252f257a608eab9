"""The panel of the viewer beside the layers: one view at a time, pictures, what the scene is."""

import re
import threading
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

from worldloom.bench import Bench
from worldloom.cameras import Camera, CameraTrajectory
from worldloom.display import Surroundings, jpeg_uri, shrunk
from worldloom.errors import WorldloomError
from worldloom.scene import DepthRef
from worldloom.viewer._config import ViewerConfig
from worldloom.viewer._things import add_depth, depth_image

_PANEL_PX = 640
_RENDER_TIMEOUT_S = 30.0
_OVERVIEW_RADII = 2.2
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|~$])")


class ViewPanel:
    """Shows one view: goes to its camera, shows its image, its depth and its depth as points.

    Args:
        server: A viser server.
        cameras: Cameras of the scene.
        stored: Depth maps that the store holds, by view id.
        bench: The store; None where there is none.
        around: Where the scene lies.
        config: Budgets.
    """

    def __init__(
        self,
        server: Any,
        cameras: CameraTrajectory,
        stored: Mapping[int, DepthRef],
        bench: Bench | None,
        around: Surroundings,
        config: ViewerConfig,
    ) -> None:
        self._server = server
        self._cameras = cameras
        self._stored = stored
        self._bench = bench
        self._around = around
        self._config = config
        self._lock = threading.Lock()
        self._cloud: Any = None
        names = cameras.frame_names or tuple(map(str, range(len(cameras))))
        # A name twice would hide the second: the number makes them differ.
        self._labels = tuple(f"{number}: {name}" for number, name in enumerate(names))
        self._folder = server.gui.add_folder("Views")
        with self._folder:
            self._choice = server.gui.add_dropdown(
                "View", self._labels, initial_value=self._labels[0]
            )
            go = server.gui.add_button("Go there")
            self._depth = server.gui.add_checkbox(
                "Depth as points", False, hint="The depth map of this view"
            )
            self._told = server.gui.add_markdown("")
            self._pictures = server.gui.add_html("")
        self._choice.on_update(lambda _event: self._show())
        self._depth.on_update(lambda _event: self._show())
        go.on_click(lambda event: self._go(event.client))
        self._show()

    def choose(self, view: int, client: Any) -> None:
        """Shows a view and takes a client to its camera."""
        self._choice.value = self._labels[view]
        self._go(client)

    def _go(self, client: Any) -> None:
        if client is not None:
            stand_at(client, self._cameras[self._labels.index(self._choice.value)], self._around)

    def _show(self) -> None:
        view = self._labels.index(self._choice.value)
        with self._lock:
            if self._cloud is not None:
                self._cloud.remove()
                self._cloud = None
            ref = self._stored.get(view)
            if ref is None or self._bench is None:
                self._told.content = "The store has no depth map of this view."
                self._pictures.content = ""
                return
            try:
                self._show_stored(ref, self._bench)
            except WorldloomError as error:
                self._told.content = plain_markdown(str(error))
                self._pictures.content = ""

    def _show_stored(self, ref: DepthRef, bench: Bench) -> None:
        image = bench.image(ref.frame, ref.width_px, ref.height_px)
        depth_map = bench.depth_map(ref)
        self._pictures.content = _pictures(image, depth_image(depth_map))
        share = float((depth_map.depth > 0).mean())
        self._told.content = f"{ref.width_px} x {ref.height_px} pixels, {100 * share:.0f} % known"
        if self._depth.value:
            self._cloud = self._server.scene.add_frame("/depth", show_axes=False)
            add_depth(
                self._server.scene,
                "/depth/points",
                depth_map,
                image,
                self._around.centre,
                most=self._config.depth_points,
            )


def add_pictures(server: Any, around: Surroundings) -> None:
    """Adds the buttons that show all of the scene and save a picture of it."""
    overview = server.gui.add_button("Overview")
    picture = server.gui.add_button("Save picture")
    overview.on_click(lambda event: look_at_all(event.client, around) if event.client else None)
    picture.on_click(lambda event: _save_picture(event.client) if event.client else None)


def look_at_all(client: Any, around: Surroundings) -> None:
    """Takes a client to a place above and outside of the scene."""
    with client.atomic():
        client.camera.up_direction = around.up
        client.camera.position = overview_position(around)
        client.camera.look_at = np.zeros(3)


def overview_position(around: Surroundings) -> Float64[np.ndarray, "3"]:
    """Returns a place above and outside, relative to the origin of the viewer."""
    return _OVERVIEW_RADII * around.radius * around.outwards


def set_stage(server: Any, around: Surroundings) -> None:
    """Sets the way up and the first look of browsers, those that are there included."""
    server.scene.set_up_direction(around.up)
    server.initial_camera.near = 0.002 * around.radius
    server.initial_camera.far = 60 * around.radius
    server.initial_camera.up = around.up
    server.initial_camera.position = overview_position(around)
    server.initial_camera.look_at = np.zeros(3)
    for client in server.get_clients().values():
        client.camera.up_direction = around.up
        client.camera.position = overview_position(around)
        client.camera.look_at = np.zeros(3)


def stand_at(client: Any, camera: Camera, around: Surroundings) -> None:
    """Takes a client to a camera; the world stays upright."""
    lens = camera.intrinsics
    place = camera.centre_in_world - around.centre
    with client.atomic():
        client.camera.up_direction = around.up
        client.camera.position = place
        client.camera.look_at = place + 0.5 * around.radius * camera.forward_in_world
        client.camera.fov = 2 * float(np.arctan(lens.height_px / (2 * lens.fy)))


def plain_markdown(text: str) -> str:
    """Returns text that Markdown shows as it is: names of files may hold anything."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN.sub(r"\\\1", escaped)


def _pictures(image: UInt8[np.ndarray, "h w 3"], depth: UInt8[np.ndarray, "h w 3"]) -> str:
    """Returns image and depth as HTML; nothing in it comes from outside."""
    style = "display:block;width:100%;border-radius:4px;margin:0 0 6px"
    return "".join(
        f'<img alt="{name}" style="{style}" src="{jpeg_uri(shrunk(picture, _PANEL_PX))}">'
        for name, picture in (("Image", image), ("Depth", depth))
    )


def _save_picture(client: Any) -> None:
    width, height = client.camera.image_width, client.camera.image_height
    image = client.get_render(height, width, timeout=_RENDER_TIMEOUT_S)
    done, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if done:
        client.send_file_download("worldloom.png", data.tobytes(), save_immediately=True)
