"""What a scene remembers of its textures: where their inputs are, and how they came out."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import msgspec

from worldloom.bench import Bench, BenchConfig
from worldloom.errors import InputError
from worldloom.scene import ReconstructedScene
from worldloom.store import RESULT_FILE, ArtifactKey, artifact_key
from worldloom.texture._config import TextureConfig
from worldloom.texture._inputs import TextureInputs
from worldloom.texture._method import TextureSet

RECORD = "textures"
"""Name of the record in the evidence of a scene."""


@dataclass(frozen=True)
class TextureSummary:
    """How textures came out."""

    faces: int
    """Of the light mesh."""
    charts: int
    pages: int
    side_px: int
    """Side of each page, texels."""
    utilisation: float
    """Share of the texels that belong to a face."""
    density_share: float
    """Texel density over what the views resolve; below 1 where the pages do not suffice."""
    seen_share: float
    """Share of the faces that a view colours; the others have the colours of their vertices."""
    views: int
    """Views that colour a face."""
    rejected: int
    """Views of faces that were left out because they show another colour than the rest."""
    choice_gap: float
    """How far above the best the cost of the choice of views may be, as a share."""
    seam_edges: int
    seam_difference_levels: float
    """Mean difference of colours across seams as the views show them, sRGB levels."""
    seam_left_levels: float
    """The same after levelling, before blending."""


@dataclass(frozen=True)
class TextureRecord:
    """Where the inputs of the textures of a scene are."""

    store: str
    """Root of the artifact store."""
    inputs: str
    """Key of the artifact that holds them."""
    summary: TextureSummary | None = None
    """None where no textures were made."""


def texture_summary(made: TextureSet) -> TextureSummary:
    """Returns how textures came out."""
    gap = made.chosen.energy - made.chosen.bound
    return TextureSummary(
        faces=made.light.faces,
        charts=made.atlas.charts,
        pages=made.atlas.pages,
        side_px=made.atlas.side_px,
        utilisation=made.atlas.utilisation,
        density_share=made.atlas.density_share,
        seen_share=made.chosen.seen_faces / made.light.faces,
        views=made.chosen.views,
        rejected=made.chosen.rejected,
        choice_gap=max(gap, 0.0) / made.chosen.bound if made.chosen.bound > 0 else 0.0,
        seam_edges=made.levelled.seam_edges,
        seam_difference_levels=made.levelled.difference_levels,
        seam_left_levels=made.levelled.left_levels,
    )


def record_textures(bench: Bench, inputs: TextureInputs, made: TextureSet | None) -> TextureRecord:
    """Writes the inputs of textures into the store and returns where they are."""
    key = artifact_key("texture-inputs", 1, inputs)
    if not bench.store.holds(key, RESULT_FILE):
        bench.store.commit(key, inputs)
    return TextureRecord(
        bench.config.store_uri, key, None if made is None else texture_summary(made)
    )


def plain_record(record: TextureRecord) -> dict[str, Any]:
    """Returns a record as plain JSON values."""
    return asdict(record)


def bench_of(scene: ReconstructedScene, store_uri: str | None) -> BenchConfig:
    """Returns the set-up of a bench on the store of a scene.

    Args:
        scene: Whose metadata name the store.
        store_uri: Where the store is now; None for where it was.

    Raises:
        InputError: the scene names none, or it is not there.
    """
    uri = store_uri or _record(scene).store
    if "://" not in uri and not Path(uri).is_dir():
        raise InputError(
            f"the artifact store {uri} of the scene is not there; give store_uri=, the folder "
            "'artifacts' of the scene as it lies now, or reconstruct again",
            path=uri,
        )
    return BenchConfig(uri)


def load_inputs(bench: Bench, scene: ReconstructedScene) -> TextureInputs:
    """Returns what the textures of a scene are made from.

    Raises:
        InputError: the scene names no inputs, or the store does not hold them.
    """
    key = ArtifactKey(_record(scene).inputs)
    inputs = bench.store.result(key, TextureInputs)
    if inputs is None:
        raise InputError(
            f"the store {bench.config.store_uri} does not hold {key}, from which the textures of "
            "the scene are made; give store_uri=, the store that it was made in",
            path=bench.config.store_uri,
        )
    return inputs


def texture_config(scene: ReconstructedScene) -> TextureConfig:
    """Returns the settings with which the textures of a scene were, or would have been, made."""
    parameters = cast("dict[str, Any]", scene.metadata.get("parameters", {}))
    given = parameters.get("texture", {})
    return msgspec.convert({**given, "textures": True}, TextureConfig)


def _record(scene: ReconstructedScene) -> TextureRecord:
    evidence = cast("dict[str, Any]", scene.metadata.get("evidence", {}))
    record = evidence.get(RECORD)
    if record is None:
        raise InputError(
            "the scene does not say what textures are made from: it was made by an earlier "
            "release, or not from several views; reconstruct it again"
        )
    try:
        return msgspec.convert(record, TextureRecord)
    except msgspec.ValidationError as error:
        raise InputError(f"the record of textures in the scene is damaged: {error}") from error
