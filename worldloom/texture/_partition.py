"""Parts of a mesh by space: what is unwrapped and baked as one piece of work."""

import numpy as np
from jaxtyping import Float64, Int64


def partition(
    centres_in_world: Float64[np.ndarray, "f 3"], most: int
) -> list[Int64[np.ndarray, "_"]]:
    """Splits points into compact parts of at most `most`, at medians of the longest side.

    Args:
        centres_in_world: Centres of the faces.
        most: Faces in a part, at least 1.

    Returns:
        Indices of each part, ascending; the same for the same points, whatever executes it.
    """
    parts: list[np.ndarray] = []
    pending = [np.arange(len(centres_in_world))]
    while pending:
        indices = pending.pop()
        if len(indices) <= most:
            if len(indices):
                parts.append(np.sort(indices))
            continue
        points = centres_in_world[indices]
        axis = int(np.ptp(points, axis=0).argmax())
        ordered = indices[np.argsort(points[:, axis], kind="stable")]
        half = len(ordered) // 2
        pending += [ordered[half:], ordered[:half]]
    return parts
