"""What a finished reconstruction writes down about itself: its manifest."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

import msgspec

from worldloom.bench import Bench
from worldloom.codec import to_json
from worldloom.config import ReconstructionConfig
from worldloom.display import view_records
from worldloom.errors import ConfigError
from worldloom.export import InputRecord, Manifest, ViewRecord, software_versions
from worldloom.exposure import Balance
from worldloom.ingest import Panorama, Source, Video
from worldloom.journal import Journal
from worldloom.quality import BASIS_EVIDENCE, Appraisal, save_basis
from worldloom.reconstruction import Reconstruction
from worldloom.scene import Frame
from worldloom.texture import RECORD as TEXTURES
from worldloom.texture import plain_record, record_textures


def manifest_of(
    config: ReconstructionConfig,
    sources: Sequence[Source],
    all_frames: Sequence[Frame],
    made: Reconstruction,
    journal: Journal,
    parameters: Mapping[str, object],
) -> Manifest:
    """Returns all of the manifest but the quality of the scene.

    Args:
        config: Settings, with concrete backends.
        sources: What was given.
        all_frames: Frames of theirs that were kept, held out or not.
        made: What came of them.
        journal: Timings and warnings so far, ingest first.
        parameters: Further settings, plain or dataclasses.
    """
    used = {source.name: 0 for source in sources}
    for frame in all_frames:
        used[frame.trajectory] += 1
    return Manifest(
        parameters=cast("dict[str, object]", msgspec.to_builtins(config))
        | msgspec.json.decode(to_json(parameters)),
        views=tuple(
            ViewRecord(
                frame.view_id,
                frame.name,
                frame.trajectory,
                frame.index,
                frame.camera.intrinsics.width_px,
                frame.camera.intrinsics.height_px,
            )
            for frame in made.frames
        ),
        inputs=tuple(
            InputRecord(_media_path(source), source.name, None, len(source), used[source.name])
            for source in sources
        ),
        evidence={
            "voxel_m": made.voxel_m,
            "truncation_m": made.truncation_m,
            "cloud_spacing_m": made.cell_m,
            "models": msgspec.json.decode(to_json(made.models)),
            "exposure": None if made.balance is None else _exposure_evidence(made.balance),
            "views": msgspec.json.decode(to_json(made.views)),
            "stored_views": view_records(made.depth),
        }
        | msgspec.json.decode(to_json(made.evidence)),
        timings=(*journal.timings[:1], *made.stages, *journal.timings[1:]),
        warnings=journal.warnings,
        failures=made.failures,
        degraded=bool(made.failures),
        software=software_versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def appraised(
    bench: Bench,
    manifest: Manifest,
    made: Reconstruction,
    appraisal: Appraisal,
    held_out: Sequence[Frame],
) -> Manifest:
    """Returns the manifest with the quality of the scene, and what it takes to measure it again.

    Args:
        bench: Store, to which what the quality rests on is written.
        manifest: From `manifest_of`.
        made: The reconstruction.
        appraisal: Of it.
        held_out: Views that nothing was made from.
    """
    basis = {BASIS_EVIDENCE: save_basis(bench.store, appraisal.basis)}
    return replace(
        manifest,
        metrics=appraisal.metrics,
        quality=msgspec.json.decode(to_json(appraisal.quality)),
        evidence=manifest.evidence | basis | _texture_record(bench, made, held_out),
    )


def _texture_record(
    bench: Bench, made: Reconstruction, held_out: Sequence[Frame]
) -> dict[str, object]:
    """Where the inputs of the textures are, so that they can be made again."""
    if made.texture_inputs is None:
        return {}
    inputs = replace(made.texture_inputs, held_out=tuple(held_out))
    return {TEXTURES: plain_record(record_textures(bench, inputs, made.texture_set))}


def _exposure_evidence(balance: Balance) -> dict[str, object]:
    """What the gains of the views rest on; the gains themselves are with the views."""
    return {
        "response": balance.response,
        "spread_before_levels": balance.spread_before_levels,
        "spread_levels": balance.spread_levels,
        "shared_samples": balance.shared_samples,
    }


def _media_path(source: Source) -> str:
    if isinstance(source.media, Video):
        return str(source.media.path)
    if isinstance(source.media, Panorama):
        return str(source.media.picture.path)
    if not source.media:
        raise ConfigError(f"source {source.name} has no image", field="inputs")
    return str(source.media[0].path.parent)
