"""E57, the exchange format of laser scanners (ASTM E2807)."""

from pathlib import Path

import numpy as np

from worldloom.errors import ExportError
from worldloom.export._cloud import CloudView


def write_e57(view: CloudView, path: Path) -> None:
    """Writes one scan: positions and colours; its library writes no normals.

    Positions are single precision relative to the middle of the cloud, which is the pose of the
    scan, so nothing is lost far from the origin.

    Raises:
        ExportError: the package pye57 is not installed.
    """
    try:
        import pye57
    except ImportError as error:
        raise ExportError(
            "E57 needs the package pye57; install it with: pip install 'worldloom[e57]'",
            format="e57",
        ) from error
    middle = np.mean(view.bounds(), axis=0)
    # Rounded before the limits are taken: the library refuses what rounding brings past them.
    points = (view.points(0, len(view.cloud)) - middle).astype(np.float32).astype(np.float64)
    data = {f"cartesian{axis}": points[:, k] for k, axis in enumerate("XYZ")}
    if view.has_colors:
        colors = view.cloud.colors
        data |= {f"color{name}": colors[:, k] for k, name in enumerate(("Red", "Green", "Blue"))}
    with pye57.E57(str(path), mode="w") as file:
        file.write_scan_raw(
            data, name="Worldloom", rotation=np.array([1.0, 0, 0, 0]), translation=middle
        )
