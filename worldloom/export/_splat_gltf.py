"""Splats in glTF 2.0: the ratified extension KHR_gaussian_splatting, ellipse kernel.

https://github.com/KhronosGroup/glTF/tree/main/extensions/2.0/Khronos/KHR_gaussian_splatting
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from worldloom.export._files import write_pieces
from worldloom.export._gltf import container, require_length
from worldloom.export._gltf_buffer import FLOAT, UINT16, VERTEX_DATA, Buffer
from worldloom.export._pages import linear_light
from worldloom.export._splat_view import flat_colors
from worldloom.scene import Splats

EXTENSION = "KHR_gaussian_splatting"


def write_splat_glb(splats: Splats, path: Path, unit_m: float) -> None:
    """Writes one binary file: points that readers of the extension draw as Gaussians.

    Scales are linear and opacities 0 to 1 there. Readers without the extension find a point cloud
    in the colours of degree 0.

    Args:
        splats: Gaussians, +y up.
        path: The file.
        unit_m: Length of their unit, metres.

    Raises:
        ExportError: it would be above glTF's 4 GiB.
    """
    buffer = Buffer()
    document = _document(splats, buffer, unit_m)
    document["buffers"] = [{"byteLength": buffer.length}]
    document |= {"bufferViews": buffer.views, "accessors": buffer.accessors}
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    total = 12 + 8 + len(text) + 8 + buffer.length
    require_length(total, "the splats take", "export spz")
    write_pieces(path, container(text, buffer, total))


def _document(splats: Splats, buffer: Buffer, unit_m: float) -> dict[str, Any]:
    count = len(splats)

    def add(shape: str, values: np.ndarray, **more: object) -> int:
        return buffer.add_rows(
            *(count, FLOAT, shape, VERTEX_DATA),
            lambda first, last: values[first:last].astype("<f4"),
            **more,
        )

    means = (splats.means_in_world * np.float32(unit_m)).astype("<f4")
    low, high = means.min(axis=0).tolist(), means.max(axis=0).tolist()
    attributes = {
        "POSITION": add("VEC3", means, min=low, max=high),
        "COLOR_0": buffer.add_rows(
            *(count, UINT16, "VEC4", VERTEX_DATA),
            lambda first, last: _rgba(splats.select(slice(first, last))),
            normalized=True,
        ),
        f"{EXTENSION}:SCALE": add("VEC3", splats.scales_m * np.float32(unit_m)),
        f"{EXTENSION}:ROTATION": add("VEC4", np.roll(splats.rotations, -1, axis=1)),
        f"{EXTENSION}:OPACITY": add("SCALAR", splats.opacities),
    }
    for degree in range(splats.sh_degree + 1):
        for order in range(2 * degree + 1):
            name = f"{EXTENSION}:SH_DEGREE_{degree}_COEF_{order}"
            attributes[name] = add("VEC3", splats.sh[:, degree**2 + order])
    how = {
        "kernel": "ellipse",
        "colorSpace": "srgb_rec709_display",
        "projection": "perspective",
        "sortingMethod": "cameraDistance",
    }
    primitive = {"mode": 0, "attributes": attributes, "extensions": {EXTENSION: how}}
    return {
        "asset": {"version": "2.0", "generator": "Worldloom"},
        "extensionsUsed": [EXTENSION],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"name": "splats", "mesh": 0}],
        "meshes": [{"name": "splats", "primitives": [primitive]}],
    }


def _rgba(splats: Splats) -> np.ndarray:
    """Colours for readers without the extension: linear light, as glTF demands, and opacity."""
    linear = linear_light(np.rint(flat_colors(splats) * 255).astype(np.uint8))
    rgba = np.concatenate([linear, splats.opacities[:, None]], axis=1)
    return np.rint(rgba * 65535).astype("<u2")
