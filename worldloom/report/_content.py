"""What stands on the page of a scene, gathered from its manifest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import PurePath
from typing import Any

import numpy as np
from jaxtyping import Float64

from worldloom.export import Conventions
from worldloom.report._figures import (
    Figure,
    Sheet,
    duration_text,
    label_of,
    metric_figures,
    number_text,
    sheets,
    size_text,
)
from worldloom.report._opening import Guide, guides_for
from worldloom.scene import Mesh, ReconstructedScene

_EXTENT_PERCENTILES = (1, 99)
_AXES = ("x", "y", "z")


@dataclass(frozen=True)
class Bar:
    """One bar of the chart of times."""

    stage: str
    text: str
    share: float
    """Length, as a share of the longest."""
    note: str


@dataclass(frozen=True)
class FileRow:
    """One file of the scene."""

    path: str
    kind: str
    size: str
    sha256: str


@dataclass(frozen=True)
class Source:
    """Where views came from; the name of the file only, as folders are nobody's business."""

    name: str
    trajectory: str
    frames: str
    used: str


@dataclass(frozen=True)
class Content:
    """The words and numbers of a page."""

    title: str
    subtitle: str
    degraded: bool
    failures: tuple[Mapping[str, Any], ...]
    warnings: tuple[str, ...]
    figures: tuple[Figure, ...]
    metrics: tuple[Figure, ...]
    sheets: tuple[Sheet, ...]
    bars: tuple[Bar, ...]
    total: str
    files: tuple[FileRow, ...]
    guides: tuple[Guide, ...]
    up: str
    sources: tuple[Source, ...]
    models: tuple[Mapping[str, Any], ...]
    conventions: tuple[tuple[str, str], ...]
    software: tuple[tuple[str, str], ...]
    settings: tuple[tuple[str, str], ...]
    created: str


def content_of(
    scene: ReconstructedScene, up: Float64[np.ndarray, "3"], title: str | None = None
) -> Content:
    """Gathers the content of a page; what the manifest lacks is left out.

    Args:
        scene: Its metadata are the manifest.
        up: Upward direction, world.
        title: Heading; None: the names of the inputs.
    """
    manifest = manifest_of(scene)
    timings = manifest["timings"]
    evidence: Mapping[str, Any] = manifest["evidence"]
    quality: Mapping[str, Any] = manifest.get("quality") or evidence.get("quality") or {}
    metrics = metric_figures({**manifest["metrics"], **quality})
    seams = {"seams": manifest.get("seams") or evidence.get("seams") or ()}
    return Content(
        title=title or _title(manifest),
        subtitle=_subtitle(manifest),
        degraded=bool(manifest["degraded"]),
        failures=tuple(manifest["failures"]),
        warnings=tuple(manifest["warnings"]),
        figures=_figures(scene, manifest),
        metrics=metrics,
        sheets=(*sheets("Quality", quality), *sheets("", seams)),
        bars=_bars(timings),
        total=duration_text(sum(timing["seconds"] for timing in timings)),
        files=tuple(
            FileRow(file["path"], label_of(file["kind"]), size_text(file["bytes"]), file["sha256"])
            for file in manifest["files"]
            if file["kind"] != "report"
        ),
        guides=guides_for(file["path"] for file in manifest["files"] if file["kind"] != "report"),
        up=_direction(up),
        sources=tuple(_source(record) for record in manifest["inputs"]),
        models=tuple(evidence.get("models") or ()),
        conventions=tuple((label_of(k), str(v)) for k, v in manifest["conventions"].items()),
        software=tuple((name, str(version)) for name, version in manifest["software"].items()),
        settings=tuple(_flat(manifest["parameters"])),
        created=str(manifest["created"]).replace("T", " ").replace("+00:00", " UTC"),
    )


def manifest_of(scene: ReconstructedScene) -> dict[str, Any]:
    """Returns the manifest of a scene with every block that a page reads, empty where missing."""
    names = scene.cameras.frame_names or tuple(str(i) for i in range(len(scene.cameras)))
    empty: dict[str, Any] = {
        "parameters": {},
        "views": [{"view_id": i, "name": name} for i, name in enumerate(names)],
        "inputs": [],
        "timings": [],
        "metrics": {},
        "evidence": {},
        "failures": [],
        "warnings": [],
        "degraded": False,
        "software": {},
        "created": "",
        "files": [],
        "conventions": {f.name: f.default for f in fields(Conventions)},
    }
    return empty | scene.metadata


def _title(manifest: Mapping[str, Any]) -> str:
    names = [str(record["trajectory"]) for record in manifest["inputs"]]
    if not names:
        return "Scene"
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _subtitle(manifest: Mapping[str, Any]) -> str:
    parameters = manifest["parameters"]
    parts = [f"method {parameters['method']}"] if "method" in parameters else []
    if "resolution" in parameters:
        parts.append(f"{parameters['resolution']} px")
    version = manifest["software"].get("worldloom")
    parts += [f"Worldloom {version}"] if version else []
    return ", ".join(parts)


def _figures(scene: ReconstructedScene, manifest: Mapping[str, Any]) -> tuple[Figure, ...]:
    evidence = manifest["evidence"]
    figures = [
        Figure("Views", f"{len(scene.cameras):,}"),
        Figure("Points", f"{len(scene.point_cloud):,}"),
        Figure("Faces", f"{len(scene.mesh.faces):,}"),
    ]
    extent = _extent(scene.mesh)
    if extent is not None:
        sides = " x ".join(f"{side:.3g}" for side in extent)
        figures.append(Figure("Size", sides, "along x, y and z, world unit"))
    if evidence.get("voxel_m"):
        voxel = f"{evidence['voxel_m']:.3g}"
        figures.append(Figure("Voxel", voxel, "side of the finest detail, world unit"))
    if scene.textures:
        side = max(page.shape[1] for texture in scene.textures.values() for page in texture.pages)
        figures.append(Figure("Textures", f"{side:,} px", ", ".join(sorted(scene.textures))))
    return tuple(figures)


def _extent(mesh: Mesh) -> Float64[np.ndarray, "3"] | None:
    finite = mesh.vertices_in_world[np.isfinite(mesh.vertices_in_world).all(axis=1)]
    if not len(finite):
        return None
    low, high = np.percentile(finite, _EXTENT_PERCENTILES, axis=0)
    return np.asarray(high - low)


def _bars(timings: Sequence[Mapping[str, Any]]) -> tuple[Bar, ...]:
    longest = max((timing["seconds"] for timing in timings), default=0.0)
    return tuple(
        Bar(
            timing["stage"],
            duration_text(timing["seconds"]),
            timing["seconds"] / longest if longest > 0 else 0.0,
            _counts(timing),
        )
        for timing in timings
    )


def _counts(timing: Mapping[str, Any]) -> str:
    parts = [f"{timing['items']:,} items"]
    parts += [f"{timing['reused']:,} reused"] if timing["reused"] else []
    parts += [f"{timing['failed']:,} failed"] if timing["failed"] else []
    return ", ".join(parts)


def _direction(up: Float64[np.ndarray, "3"]) -> str:
    axis = int(np.abs(up).argmax())
    if abs(up[axis]) > 1 - 1e-9:
        return ("+" if up[axis] > 0 else "-") + _AXES[axis]
    return "(" + ", ".join(f"{value:.2f}" for value in up) + ")"


def _source(record: Mapping[str, Any]) -> Source:
    name = PurePath(str(record["path"])).name or str(record["path"])
    return Source(name, str(record["trajectory"]), f"{record['frames']:,}", f"{record['used']:,}")


def _flat(block: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in block.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{name}.")
        else:
            text = number_text(value) if isinstance(value, float) else str(value)
            rows.append((f"{prefix}{name}", text))
    return rows
