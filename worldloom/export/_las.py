"""LAS 1.4 and its compressed form LAZ (ASPRS, LAS Specification 1.4 R15)."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from worldloom.export._cloud import CloudView

_POINT_FORMAT = 7
_STEPS = 1e7
_OFFSET_STEPS = 1e6
_NORMALS = ("NormalX", "NormalY", "NormalZ")


def write_las(view: CloudView, path: Path) -> None:
    """Writes point format 7 (RGB), compressed where the suffix is `.laz`.

    Positions are whole multiples of a power of ten, at most 1e-7 of the extent, counted from near
    the corner of the box; so a room is kept to a micrometre, wherever its origin is. Colours are 16
    bits. Normals, `confidence` and `views` are extra bytes, under the names that CloudCompare and
    PDAL use. The file names no coordinate system, as the input does not.
    """
    import laspy

    low, high = view.bounds()
    header = laspy.LasHeader(version="1.4", point_format=_POINT_FORMAT)
    header.scales, header.offsets = scale_and_offset(low, high)
    header.generating_software = "Worldloom"
    # Asked for from point format 6 on, even where there is no coordinate system to write.
    header.global_encoding.wkt = True
    extra = [("confidence", "f4"), ("views", "u2")]
    extra += [(name, "f4") for name in _NORMALS] if view.has_normals else []
    header.add_extra_dims([laspy.ExtraBytesParams(name, kind) for name, kind in extra])
    with laspy.open(
        path, mode="w", header=header, do_compress=path.suffix.lower() == ".laz"
    ) as writer:
        for first, last in view.spans():
            writer.write_points(_record(view, first, last, header))


def scale_and_offset(
    low: Float64[np.ndarray, "3"], high: Float64[np.ndarray, "3"]
) -> tuple[Float64[np.ndarray, "3"], Float64[np.ndarray, "3"]]:
    """Returns the step and the origin of the integers that hold positions between two corners.

    One step for all axes: a power of ten, at most 1e-7 of the longest side, and so fine that
    integers of 32 bits reach across. Where doubles far from the origin are coarser, their step.
    """
    longest = float((high - low).max())
    finest = float(np.spacing(max(np.abs(low).max(), np.abs(high).max())))
    step = max(longest / _STEPS, finest, 1e-12)
    scale = 10.0 ** math.floor(math.log10(step) + 1e-9)
    grid = scale * _OFFSET_STEPS
    return np.full(3, scale), np.floor(low / grid) * grid


def _record(view: CloudView, first: int, last: int, header: Any) -> Any:
    import laspy

    record = laspy.ScaleAwarePointRecord.zeros(last - first, header=header)
    points = view.points(first, last)
    record.x, record.y, record.z = points[:, 0], points[:, 1], points[:, 2]
    ones = np.ones(last - first, np.uint8)
    record["return_number"] = ones
    record["number_of_returns"] = ones
    cloud = view.cloud
    if view.has_colors:
        wide = cloud.colors[first:last].astype(np.uint16) * 257
        record["red"], record["green"], record["blue"] = wide[:, 0], wide[:, 1], wide[:, 2]
    record["confidence"] = cloud.confidence[first:last]
    record["views"] = np.minimum(cloud.count[first:last], np.iinfo(np.uint16).max)
    if view.has_normals:
        normals = view.normals(first, last)
        for k, name in enumerate(_NORMALS):
            record[name] = normals[:, k]
    return record
