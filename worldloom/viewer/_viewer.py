"""The viewer: a scene folder, or a running job, in any browser that reaches this machine."""

import logging
import threading
from pathlib import Path
from typing import Any

from worldloom.display import existing_store
from worldloom.errors import ConfigError, InputError, WorldloomError
from worldloom.export import load_scene
from worldloom.scene import ReconstructedScene
from worldloom.viewer._config import ViewerConfig
from worldloom.viewer._following import Following
from worldloom.viewer._scene import SceneDisplay

_logger = logging.getLogger(__name__)
ARTIFACTS_FOLDER = "artifacts"
MANIFEST_FILE = "scene.json"


class Viewer:
    """Serves a scene folder to browsers until it is stopped.

    What all browsers see is the same: layers, the chosen view, measurements. Each has its camera.

    Args:
        folder: Scene folder; with `live`, the output folder of a job that runs.
        host: Address to listen at; 127.0.0.1 is reached from this machine only.
        port: Port to listen at; the next free one is taken where it is not.
        live: Follow the store of a job; what it finishes is added until the scene is whole.
        store_uri: Root of the artifact store; None: `artifacts` in the folder.
        config: Budgets; None for the usual ones.

    Raises:
        InputError: there is no finished scene, or a file of it is damaged.
        ConfigError: the address cannot be listened at.
    """

    def __init__(
        self,
        folder: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 8080,
        live: bool = False,
        store_uri: str | None = None,
        config: ViewerConfig | None = None,
    ) -> None:
        self._folder = folder
        self._store = store_uri or str(folder.resolve() / ARTIFACTS_FOLDER)
        self._config = config or ViewerConfig()
        self._stopped = threading.Event()
        scene = _loaded(folder, live)
        self.server = _server(host, port)
        self.host = host
        self.port: int = self.server.get_port()
        self._following: Following | None = None
        if scene is not None:
            self._show(scene)
        else:
            self._following = Following(self.server, self._config)

    @property
    def is_whole(self) -> bool:
        """True once a finished scene is shown; from the start without `live`."""
        return self._following is None

    def run(self) -> None:
        """Serves until `stop`, from another thread, or an interrupt.

        A look at a running job that fails is logged; the next one may succeed.
        """
        while not self._stopped.wait(self._config.poll_s):
            try:
                self.look()
            except WorldloomError as error:
                _logger.warning("the job cannot be looked at: %s", error)

    def look(self) -> None:
        """Looks once at a running job: adds what came, or the scene where it is whole now.

        Raises:
            StoreError: the store cannot be listed or read.
            InputError: a file of the scene that came is damaged.
        """
        following = self._following
        if following is None:
            return
        if (self._folder / MANIFEST_FILE).is_file():
            scene = load_scene(self._folder, verify=False)
            following.remove()
            self._following = None
            self._show(scene)
            return
        bench = existing_store(self._store)
        if bench is not None:
            following.look(bench)

    def stop(self) -> None:
        """Stops serving; browsers lose the connection."""
        self._stopped.set()
        self.server.stop()

    def _show(self, scene: ReconstructedScene) -> None:
        bench = existing_store(self._store)
        SceneDisplay(self.server, scene, bench, self._config)


def view_scene(
    folder: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    live: bool = False,
    store_uri: str | None = None,
    config: ViewerConfig | None = None,
) -> None:
    """Serves a scene folder until it is interrupted; see `Viewer`."""
    viewer = Viewer(
        Path(folder), host=host, port=port, live=live, store_uri=store_uri, config=config
    )
    _logger.info("viewer at http://%s:%d", viewer.host, viewer.port)
    try:
        viewer.run()
    finally:
        viewer.stop()


def _loaded(folder: Path, live: bool) -> ReconstructedScene | None:
    if (folder / MANIFEST_FILE).is_file():
        return load_scene(folder, verify=False)
    if live:
        return None
    raise InputError(
        f"{folder} holds no finished scene; give the output folder of a reconstruction, or --live "
        "to follow one that runs",
        path=str(folder),
    )


def _server(host: str, port: int) -> Any:  # viser.ViserServer
    if not 0 <= port < 65536:
        raise ConfigError(f"port is {port}; give one from 0 to 65535", field="port")
    import viser

    try:
        server = viser.ViserServer(host=host, port=port, label="Worldloom", verbose=False)
    except OSError as error:
        raise ConfigError(
            f"cannot listen at {host}:{port} ({error.strerror or error}); give another --host or "
            "--port",
            field="host",
        ) from error
    dark = server.gui.add_checkbox("Dark page", False)
    dark.on_update(lambda _event: _dress(server, dark.value))
    _dress(server, dark=False)
    server.gui.main_panel.dock_right()
    return server


def _dress(server: Any, dark: bool) -> None:
    # Sharing would send the scene through a server of others.
    server.gui.configure_theme(show_logo=False, show_share_button=False, dark_mode=dark)
