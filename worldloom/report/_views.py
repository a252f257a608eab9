"""The table of views: what went in, the depth found, what is known of it."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from worldloom.bench import Bench
from worldloom.display import depth_picture, depth_span, jpeg_uri, shrunk
from worldloom.errors import WorldloomError
from worldloom.report._figures import UNKNOWN, Cell, known
from worldloom.scene import DepthRef

_logger = logging.getLogger(__name__)
_PICTURE_PX = 176
_MANY_PARTNERS = 8


@dataclass(frozen=True)
class Picture:
    """A picture of a view."""

    uri: str
    width_px: int
    height_px: int


@dataclass(frozen=True)
class ViewRow:
    """One view as the table shows it."""

    view_id: int
    name: str
    image: Picture | None
    depth: Picture | None
    kept_share: float | None
    kept: Cell
    residual: Cell
    reprojection: Cell
    depth_range: Cell
    gain: Cell
    correction: Cell
    partners: tuple[int, ...]
    more_partners: int
    """Partners that are not listed."""
    remarks: tuple[str, ...]
    """What went wrong, or deserves attention."""


@dataclass(frozen=True)
class ViewTable:
    """All views, and what the depth colours mean."""

    rows: tuple[ViewRow, ...]
    pictured: int
    low: float
    """Depth of the brightest colour, world unit."""
    high: float
    has_gain: bool
    has_correction: bool


def view_table(
    manifest: Mapping[str, Any],
    stored: Mapping[int, DepthRef],
    bench: Bench | None,
    max_pictured: int,
) -> ViewTable:
    """Returns the table of views.

    Args:
        manifest: Of the scene, plain JSON values.
        stored: Depth maps that the store holds, by view id.
        bench: The store; None where there is none, then there are no pictures.
        max_pictured: Views that get pictures, evenly spread.
    """
    records: Sequence[Mapping[str, Any]] = manifest["views"]
    evidence = {view["view_id"]: view for view in manifest["evidence"].get("views", [])}
    pictures = {} if bench is None else _pictures(bench, stored, max_pictured)
    low, high = depth_span([depth for _image, depth in pictures.values()])
    failures = _failures_by_view(manifest)
    rows = tuple(
        _row(
            record,
            evidence.get(record["view_id"], {}),
            pictures.get(record["view_id"]),
            (low, high),
            failures.get(record["view_id"], ()),
        )
        for record in records
    )
    return ViewTable(
        rows,
        len(pictures),
        low,
        high,
        any(view.get("gain_rgb") for view in evidence.values()),
        any(view.get("correction") for view in evidence.values()),
    )


def _pictures(
    bench: Bench, stored: Mapping[int, DepthRef], most: int
) -> dict[int, tuple[UInt8[np.ndarray, "_ _ 3"], Float32[np.ndarray, "_ _"]]]:
    """Small images and depth maps of some views, by view id."""
    ids = sorted(stored)
    if len(ids) > most:
        ids = [ids[int((k + 0.5) * len(ids) / most)] for k in range(most)]
    found: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for view in ids:
        ref = stored[view]
        try:
            image = bench.image(ref.frame, ref.width_px, ref.height_px)
            depth = bench.depth_map(ref).depth
        except WorldloomError as error:
            _logger.warning("view %s has no pictures in the report: %s", ref.frame.name, error)
            continue
        step = max(1, ref.width_px // _PICTURE_PX)
        found[view] = shrunk(image, _PICTURE_PX), depth[step // 2 :: step, step // 2 :: step]
    return found


def _failures_by_view(manifest: Mapping[str, Any]) -> dict[int, tuple[str, ...]]:
    found: dict[int, tuple[str, ...]] = {}
    for failure in manifest.get("failures", ()):
        words = str(failure["subject"]).split()
        if len(words) > 1 and words[0] == "view" and words[1].isdigit():
            view = int(words[1])
            found[view] = (*found.get(view, ()), f"{failure['stage']}: {failure['message']}")
    return found


def _row(
    record: Mapping[str, Any],
    evidence: Mapping[str, Any],
    pictures: tuple[np.ndarray, np.ndarray] | None,
    span: tuple[float, float],
    failures: tuple[str, ...],
) -> ViewRow:
    kept = evidence.get("kept_share")
    partners = tuple(evidence.get("partners") or ())
    gain = evidence.get("gain_rgb")
    near, far = evidence.get("near"), evidence.get("far")
    return ViewRow(
        view_id=record["view_id"],
        name=record["name"],
        image=None if pictures is None else _picture(pictures[0]),
        depth=None if pictures is None else _picture(depth_picture(pictures[1], *span)),
        kept_share=kept,
        kept=Cell(UNKNOWN) if kept is None else Cell(f"{100 * kept:.0f} %", repr(kept)),
        residual=known(evidence.get("residual_px")),
        reprojection=known(evidence.get("reprojection_residual_px")),
        depth_range=Cell(UNKNOWN) if near is None else Cell(f"{near:.3g} to {far:.3g}", repr(far)),
        gain=known(None if gain is None else float(np.mean(gain))),
        correction=_correction(evidence.get("correction")),
        partners=partners[:_MANY_PARTNERS],
        more_partners=max(0, len(partners) - _MANY_PARTNERS),
        remarks=(*failures, *_remarks(evidence)),
    )


def _remarks(evidence: Mapping[str, Any]) -> tuple[str, ...]:
    learned = evidence.get("learned")
    refusal = learned.get("refusal") if learned else None
    if evidence and evidence.get("kept_share") is None:
        return ("no depth was made of this view",)
    return () if refusal is None else (f"depth model not used: {refusal}",)


def _correction(correction: Mapping[str, Any] | None) -> Cell:
    if correction is None:
        return Cell(UNKNOWN)
    turn_deg, move_m = correction["turn_deg"], correction["move_m"]
    if correction["state"] != "refined":
        return Cell(str(correction["state"]), "0")
    return Cell(f"{turn_deg:.2f}° / {move_m:.3g}", repr(turn_deg))


def _picture(image: UInt8[np.ndarray, "h w 3"]) -> Picture:
    return Picture(jpeg_uri(image), image.shape[1], image.shape[0])
