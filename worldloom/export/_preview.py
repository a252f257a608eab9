"""The contact sheet: what went in, the depth found, and what came out, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from worldloom.errors import ExportError
from worldloom.render import MeshRenderer, shade_by_normals
from worldloom.scene import DepthMap

Image = UInt8[np.ndarray, "_ _ 3"]

_PAPER = (20, 21, 24)
_EMPTY = (38, 40, 45)
_INK = (236, 236, 232)
_FAINT = (150, 152, 158)
_CELL_WIDTH = 300
_GAP = 10
_DARKEST = 36
_MARGIN = 28
_LABELS_WIDTH = 150
_HEADER_HEIGHT = 92
_NAMES_HEIGHT = 26


@dataclass(frozen=True, eq=False)
class PreviewView:
    """One column of the contact sheet."""

    name: str
    image: Image
    """What went in, sRGB."""
    depth_map: DepthMap
    """Depth and camera; without any known depth for a view that failed."""


def pick_views(count: int, columns: int = 5) -> tuple[int, ...]:
    """Returns positions of at most `columns` views, spread evenly over `count`."""
    columns = min(columns, count)
    return tuple(int((k + 0.5) * count / columns) for k in range(columns))


def contact_sheet(
    views: Sequence[PreviewView],
    renderer: MeshRenderer,
    title: str,
    subtitle: str,
    depth_note: str = "confirmed by other views",
) -> Image:
    """Lays out input, depth, coloured mesh and bare surface of some views.

    Args:
        views: Columns, left to right.
        renderer: Renderer of the mesh.
        title: Large first line.
        subtitle: Second line: numbers of views, points, faces.
        depth_note: Where the depth comes from, in a few words.

    Returns:
        The sheet, sRGB.

    Raises:
        ExportError: there are no views.
    """
    if not views:
        raise ExportError("a contact sheet needs at least one view", format="png")
    cell_height = max(round(_CELL_WIDTH * v.image.shape[0] / v.image.shape[1]) for v in views)
    cell_height = min(cell_height, 2 * _CELL_WIDTH)
    low, high = _depth_range(views)
    columns = [_column(view, renderer, low, high) for view in views]
    labels = (
        ("Input", "frames, undistorted"),
        ("Depth", depth_note),
        ("Result", "mesh, rendered"),
        ("Surface", "the same, without colour"),
    )
    sheet = _paper(len(views), len(labels), cell_height)
    _text(sheet, title, (_MARGIN, _MARGIN + 22), 25, 500, _INK)
    _text(sheet, subtitle, (_MARGIN, _MARGIN + 50), 15, 350, _FAINT)
    for row, (label, note) in enumerate(labels):
        top = _row_top(row, cell_height)
        _text(sheet, label, (_MARGIN, top + 20), 18, 500, _INK)
        _text(sheet, note, (_MARGIN, top + 42), 12, 350, _FAINT, _LABELS_WIDTH - 12)
        if label == "Depth":
            _depth_legend(sheet, (_MARGIN, top + 78), low, high, cell_height - 96)
    for index, (view, cells) in enumerate(zip(views, columns, strict=True)):
        left = _MARGIN + _LABELS_WIDTH + index * (_CELL_WIDTH + _GAP)
        _text(sheet, view.name, (left, _HEADER_HEIGHT + 16), 13, 400, _FAINT, _CELL_WIDTH)
        for row, cell in enumerate(cells):
            top = _row_top(row, cell_height)
            _place(sheet[top : top + cell_height, left : left + _CELL_WIDTH], cell)
    return sheet


def _column(view: PreviewView, renderer: MeshRenderer, low: float, high: float) -> list[Image]:
    height, width = view.image.shape[:2]
    scale = min(_CELL_WIDTH / width, 2 * _CELL_WIDTH / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    fine = view.depth_map.camera.resized(2 * size[0], 2 * size[1])
    rendered = renderer.render(fine)
    colored = np.where(rendered.hit[..., None], rendered.image, np.array(_EMPTY, np.uint8))
    depth = cv2.resize(view.depth_map.depth, size, interpolation=cv2.INTER_NEAREST)
    return [
        cv2.resize(view.image, size, interpolation=cv2.INTER_AREA),
        _coloured_depth(depth, low, high),
        cv2.resize(colored, size, interpolation=cv2.INTER_AREA),
        cv2.resize(shade_by_normals(rendered, _EMPTY), size, interpolation=cv2.INTER_AREA),
    ]


def _depth_range(views: Sequence[PreviewView]) -> tuple[float, float]:
    known = [view.depth_map.depth[view.depth_map.depth > 0].ravel() for view in views]
    joined = np.concatenate(known)
    if not len(joined):
        return 1.0, 2.0
    low, high = (float(value) for value in np.percentile(joined, [1, 99]))
    return low, max(high, low * 1.01)


def _coloured_depth(depth: Float32[np.ndarray, "h w"], low: float, high: float) -> Image:
    """Colours depth on a logarithmic scale; near is bright, unknown is grey."""
    known = depth > 0
    share = np.log(high / np.where(known, depth, high)) / np.log(high / low)
    level = np.rint(_DARKEST + (255 - _DARKEST) * np.clip(share, 0, 1)).astype(np.uint8)
    colored = cv2.cvtColor(cv2.applyColorMap(level, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    return np.where(known[..., None], colored, np.array(_EMPTY, np.uint8))


def _depth_legend(sheet: Image, at: tuple[int, int], low: float, high: float, height: int) -> None:
    """Draws the scale of the depth colours, near at the top."""
    left, top = at
    share = np.linspace(0, 1, max(height, 2), dtype=np.float32)
    depth = low * (high / low) ** share
    bar = _coloured_depth(np.repeat(depth[:, None], 10, axis=1).astype(np.float32), low, high)
    sheet[top : top + len(bar), left : left + 10] = bar
    for value, y in ((low, top + 10), (high, top + len(bar))):
        _text(sheet, f"{value:.3g}", (left + 18, y), 12, 400, _FAINT)


def _paper(columns: int, rows: int, cell_height: int) -> Image:
    width = 2 * _MARGIN + _LABELS_WIDTH + columns * (_CELL_WIDTH + _GAP) - _GAP
    height = _row_top(rows, cell_height) - _GAP + _MARGIN
    sheet = np.empty((height, width, 3), np.uint8)
    sheet[:] = _PAPER
    return sheet


def _row_top(row: int, cell_height: int) -> int:
    return _HEADER_HEIGHT + _NAMES_HEIGHT + row * (cell_height + _GAP)


def _place(cell: Image, image: Image) -> None:
    """Puts an image into the middle of a cell that is at least as large."""
    cell[:] = _EMPTY
    image = image[: cell.shape[0], : cell.shape[1]]
    top = (cell.shape[0] - image.shape[0]) // 2
    left = (cell.shape[1] - image.shape[1]) // 2
    cell[top : top + image.shape[0], left : left + image.shape[1]] = image


def _text(
    sheet: Image,
    text: str,
    at: tuple[int, int],
    size_px: int,
    weight: int,
    color: tuple[int, int, int],
    width_px: int | None = None,
) -> None:
    """Writes a line with its baseline at `at`, cut to a width."""
    face = cv2.FontFace("sans")

    def width_of(line: str) -> int:
        return cv2.getTextSize((0, 0), line, (0, 0), face, size_px, weight)[2]

    line = text
    while width_px is not None and len(line) > 1 and width_of(line) > width_px:
        text = text[:-1]
        line = text + "…"
    cv2.putText(sheet, line, at, color, face, size_px, weight)
