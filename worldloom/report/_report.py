"""The report: one page about one scene, with all that it shows inside."""

import base64
import hashlib
import logging
import os
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, cast

import cv2
import msgspec
import numpy as np

from worldloom.bench import Bench
from worldloom.display import (
    existing_store,
    jpeg_uri,
    mesh_within,
    shrunk,
    stored_views,
    surroundings,
)
from worldloom.errors import ExportError
from worldloom.export import (
    FileRecord,
    Manifest,
    load_manifest,
    load_scene,
    save_manifest,
    sha256_of,
    write_atomically,
)
from worldloom.report._config import ReportConfig
from worldloom.report._content import content_of, manifest_of
from worldloom.report._model import model_of
from worldloom.report._turntable import Turntable, turntable
from worldloom.report._views import view_table
from worldloom.scene import ReconstructedScene

_logger = logging.getLogger(__name__)
REPORT_FILE = "report.html"
REPORT_KIND = "report"
ARTIFACTS_FOLDER = "artifacts"
_PREVIEW_PX = 1600


@dataclass(frozen=True)
class _Turning:
    """A turntable as a page shows it."""

    uri: str
    frames: int
    columns: int
    rows: int
    width_px: int
    height_px: int


def write_report(
    source: ReconstructedScene | str | os.PathLike[str],
    path: str | os.PathLike[str] | None = None,
    *,
    store_uri: str | None = None,
    title: str | None = None,
    config: ReportConfig | None = None,
) -> Path:
    """Writes the report of a scene: one HTML file that needs no network and no other file.

    Where the file lies in the folder of the scene, the manifest lists it.

    Args:
        source: Scene, or the folder of one.
        path: File to write; None: `report.html` in the folder.
        store_uri: Root of the artifact store, for the pictures of the views; None: `artifacts` in
            the folder. Without a store the views are listed without pictures.
        title: Heading; None: the names of the inputs.
        config: Budgets; None for the usual ones.

    Returns:
        The file.

    Raises:
        InputError: there is no finished scene in the folder, or a file of it is damaged.
        ExportError: no path was given for a scene that has no folder, or the page cannot be
            written.
        ConfigError: open3d cannot be loaded.
    """
    if isinstance(source, ReconstructedScene):
        if path is None:
            raise ExportError("a scene without a folder needs a path for its report", format="html")
        return _write(source, None, Path(path), store_uri, title, config)
    folder = Path(source)
    scene = load_scene(folder, verify=False)
    path = folder / REPORT_FILE if path is None else Path(path)
    _write(scene, folder, path, store_uri, title, config)
    if path.resolve().parent == folder.resolve():
        _list_in_manifest(folder, path.name)
    return path


def add_report(
    scene: ReconstructedScene, folder: Path, store_uri: str | None = None
) -> ReconstructedScene:
    """Writes the report of a scene that was just exported, and lists it in its manifest.

    Args:
        scene: As it was exported, its metadata the manifest; it is not read back.
        folder: Where it was exported to.
        store_uri: Root of the artifact store; None: `artifacts` in the folder.

    Returns:
        The scene, its metadata the new manifest.

    Raises:
        ExportError: the page cannot be written.
    """
    _write(scene, folder, folder / REPORT_FILE, store_uri, None, None)
    manifest = _list_in_manifest(folder, REPORT_FILE)
    return replace(scene, metadata=cast("dict[str, object]", msgspec.to_builtins(manifest)))


def _write(
    scene: ReconstructedScene,
    folder: Path | None,
    path: Path,
    store_uri: str | None,
    title: str | None,
    config: ReportConfig | None,
) -> Path:
    store = store_uri or (None if folder is None else folder / ARTIFACTS_FOLDER)
    bench = None if store is None else existing_store(store)
    page = _page(scene, folder, bench, title, config or ReportConfig())
    write_atomically(path, page.encode())
    return path


def _page(
    scene: ReconstructedScene,
    folder: Path | None,
    bench: Bench | None,
    title: str | None,
    config: ReportConfig,
) -> str:
    around = surroundings(scene.mesh, scene.cameras)
    light = mesh_within(scene.mesh, config.max_faces)
    manifest = manifest_of(scene)
    stored = {} if bench is None else stored_views(bench, scene.cameras, manifest["evidence"])
    script = _asset("bundle.js")
    if "</script" in script.lower():
        raise ExportError("the script of the page would end itself; build it anew", format="html")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return _template().render(
        content=content_of(scene, around.up, title),
        views=view_table(manifest, stored, bench, config.max_pictured_views),
        model=model_of(scene, light, around, config),
        turning=_turning(turntable(light, around, config)),
        preview=None if folder is None else _preview(folder, manifest),
        camera_names=scene.cameras.frame_names or tuple(map(str, range(len(scene.cameras)))),
        style=_asset("style.css"),
        script=script,
        script_digest=digest,
        licence=_asset("three.LICENSE.txt"),
    )


def _turning(made: Turntable | None) -> _Turning | None:
    if made is None:
        return None
    height, width = made.strip.shape[:2]
    return _Turning(
        jpeg_uri(made.strip, quality=78),
        made.frames,
        made.columns,
        made.rows,
        width // made.columns,
        height // made.rows,
    )


def _preview(folder: Path, manifest: dict[str, Any]) -> str | None:
    """Returns the contact sheet of a scene folder as a data URI, where there is one."""
    names = [file["path"] for file in manifest["files"] if file["kind"] == "preview"]
    if not names:
        return None
    path = folder / names[0]
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR_RGB)
    if image is None:
        _logger.warning("%s is no picture and is left out of the report", path)
        return None
    return jpeg_uri(shrunk(image, _PREVIEW_PX))


def _asset(name: str) -> str:
    return resources.files("worldloom.report").joinpath("page", name).read_text("utf-8")


def _template() -> Any:  # a jinja2 template; jinja2 is imported where a page is made
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_asset("report.html.j2"))


def _list_in_manifest(folder: Path, name: str) -> Manifest:
    manifest = load_manifest(folder)
    path = folder / name
    record = FileRecord(name, REPORT_KIND, path.stat().st_size, sha256_of(path))
    others = tuple(file for file in manifest.files if file.path != name)
    files = tuple(sorted((*others, record), key=lambda file: file.path))
    listed = replace(manifest, files=files)
    save_manifest(listed, folder)
    return listed
