"""Layers: what can be shown and hidden, made when it is first asked for."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Server = Any  # viser.ViserServer; viser is imported where a viewer is started


@dataclass
class _Layer:
    root: Any
    box: Any
    make: Callable[[str], None] | None
    """Makes the content below a path; None where it is made."""


class Layers:
    """The layers of a viewer, each a node of the scene with a check box.

    Callbacks come from threads of the server, so that a lock guards what is made.

    Args:
        server: Where they are shown.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._layers: dict[str, _Layer] = {}
        self._lock = threading.RLock()

    def add(
        self, name: str, make: Callable[[str], None], *, shown: bool = False, hint: str = ""
    ) -> None:
        """Adds a layer.

        Args:
            name: Label of its check box.
            make: Called with a path below which to add to the scene, once, when it is first shown.
            shown: Show it from the start.
            hint: What it is.
        """
        path = "/" + name.lower().replace(" ", "-")
        root = self._server.scene.add_frame(path, show_axes=False, visible=False)
        box = self._server.gui.add_checkbox(name, False, hint=hint or None)
        layer = _Layer(root, box, make)
        self._layers[name] = layer
        box.on_update(lambda _event: self._apply(path, layer))
        if shown:
            self.show(name)

    def show(self, name: str, shown: bool = True) -> None:
        """Shows or hides a layer."""
        layer = self._layers[name]
        layer.box.value = shown
        self._apply(layer.root.name, layer)

    def is_shown(self, name: str) -> bool:
        """Returns whether a layer is shown."""
        return bool(self._layers[name].box.value)

    @property
    def names(self) -> tuple[str, ...]:
        """All layers, in the order in which they came."""
        return tuple(self._layers)

    def _apply(self, path: str, layer: _Layer) -> None:
        with self._lock:
            if layer.box.value and layer.make is not None:
                make, layer.make = layer.make, None
                make(path)
            layer.root.visible = bool(layer.box.value)
