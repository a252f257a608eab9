"""The quality of a scene folder, measured again from its files and from the store."""

from pathlib import Path

from worldloom.bench import Bench, BenchConfig
from worldloom.errors import InputError, StoreError
from worldloom.export import load_manifest, load_scene
from worldloom.metrics import QualityReport
from worldloom.quality._basis import BASIS_EVIDENCE, load_basis
from worldloom.quality._scoring import (
    JUDGED_VIEWS,
    ViewRenderer,
    measured_quality,
    scene_renderer,
    textured_renderer,
)
from worldloom.render import MeshRenderer
from worldloom.store import ArtifactKey


def folder_quality(
    folder: Path,
    store_uri: str,
    *,
    views: int = JUDGED_VIEWS,
    renderer: ViewRenderer | None = None,
) -> QualityReport:
    """Measures a scene folder again; the folder stays as it is.

    Args:
        folder: What a reconstruction wrote.
        store_uri: Store of its artifacts: absolute path, s3:// or gs://.
        views: At most this many views are judged, evenly spread.
        renderer: Renders the scene; None for the mesh in the folder, with the colours of its
            splats or textures where it has some.

    Raises:
        InputError: there is no finished scene, or it was made before quality was kept.
        StoreError: the artifacts are gone.
    """
    manifest = load_manifest(folder)
    key = manifest.evidence.get(BASIS_EVIDENCE)
    if not isinstance(key, str):
        raise InputError(
            f"{folder} does not say what its quality is measured on, as it was made by an earlier "
            "release; reconstruct it again with the same input and --out: finished work is found",
            path=str(folder),
        )
    # A store is made where there is none; here that would hide what is wrong.
    if "://" not in store_uri and not Path(store_uri).is_dir():
        raise StoreError(
            f"{store_uri} does not exist, so the frames and depth maps of the scene are gone; give "
            "the store that it was made with by --store, or reconstruct it again",
            uri=store_uri,
        )
    bench = Bench(BenchConfig(store_uri))
    basis = load_basis(bench.store, ArtifactKey(key))
    if renderer is None:
        scene = load_scene(folder)
        renderer = scene_renderer(
            MeshRenderer(scene.mesh),
            textured_renderer(scene.unwrapped, scene.textures),
            scene.splats,
        )
    return measured_quality(bench, basis, renderer, views)
