"""The views that may colour each face, without those that saw something else."""

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Bool, Float32, Int32

from worldloom.texture._look import Seen

MOST_VIEWS = 16
"""Views kept of a face, those with the most detail."""
_ROUNDS = 4
_DEVIATIONS = 3.0
_LEAST_LEVELS = 14.0
"""Distance from the median colour that noise, gloss and small misalignment explain, levels."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """The views of each face, by view id; rows are padded with view -1."""

    view: Int32[np.ndarray, "f k"]
    quality: Float32[np.ndarray, "f k"]
    """Detail; see `Seen`."""
    area_px: Float32[np.ndarray, "f k"]
    color: Float32[np.ndarray, "f k 3"]
    reflected: Float32[np.ndarray, "f k 3"]
    cosine: Float32[np.ndarray, "f k"]

    @classmethod
    def empty(cls, faces: int) -> "Candidates":
        """Returns candidates of faces that no view has been added for."""

        def zeros(*more: int) -> np.ndarray:
            return np.zeros((faces, MOST_VIEWS, *more), np.float32)

        view = np.full((faces, MOST_VIEWS), -1, np.int32)
        return cls(view, zeros(), zeros(), zeros(3), zeros(3), zeros())

    def add(self, view_id: int, seen: Seen, rows: slice) -> None:
        """Adds one view; call in ascending order of view ids.

        Args:
            view_id: Of the view.
            seen: What some views see.
            rows: Rows of this view in it.
        """
        _add(
            view_id,
            seen.face[rows],
            seen.quality[rows],
            seen.area_px[rows],
            seen.color[rows],
            seen.reflected[rows],
            seen.cosine[rows],
            self.view,
            self.quality,
            self.area_px,
            self.color,
            self.reflected,
            self.cosine,
        )

    def agreeing(self) -> Bool[np.ndarray, "f k"]:
        """Returns which views agree on the colour of a face; padding never does.

        Views of something before the surface, or with a wrong pose there, show other colours than
        the rest (after Waechter et al., ECCV 2014, section 3.1, with medians in place of a mean
        shift). Of two views that differ both stay: nobody knows which is right.
        """
        return _agreeing(self.view, self.color)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add(
    view_id: int,
    face: np.ndarray,
    quality: np.ndarray,
    area_px: np.ndarray,
    color: np.ndarray,
    reflected: np.ndarray,
    cosine: np.ndarray,
    views: np.ndarray,
    qualities: np.ndarray,
    areas: np.ndarray,
    colors: np.ndarray,
    directions: np.ndarray,
    cosines: np.ndarray,
) -> None:
    most = views.shape[1]
    for n in range(len(face)):
        f = face[n]
        if views[f, most - 1] >= 0:
            worst = 0
            for k in range(1, most):
                if qualities[f, k] < qualities[f, worst]:
                    worst = k
            if qualities[f, worst] >= quality[n]:
                continue
            # Rows stay in the order of view ids.
            for k in range(worst, most - 1):
                views[f, k] = views[f, k + 1]
                qualities[f, k] = qualities[f, k + 1]
                areas[f, k] = areas[f, k + 1]
                cosines[f, k] = cosines[f, k + 1]
                for c in range(3):
                    colors[f, k, c] = colors[f, k + 1, c]
                    directions[f, k, c] = directions[f, k + 1, c]
            views[f, most - 1] = -1
        at = 0
        while views[f, at] >= 0:
            at += 1
        views[f, at] = view_id
        qualities[f, at] = quality[n]
        areas[f, at] = area_px[n]
        cosines[f, at] = cosine[n]
        for c in range(3):
            colors[f, at, c] = color[n, c]
            directions[f, at, c] = reflected[n, c]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _agreeing(views: np.ndarray, colors: np.ndarray) -> np.ndarray:
    faces, most = views.shape
    agrees = views >= 0
    distance = np.empty(most)
    for f in range(faces):
        for _ in range(_ROUNDS):
            here = np.flatnonzero(agrees[f])
            if len(here) < 3:
                break
            centre = np.empty(3)
            for c in range(3):
                centre[c] = np.median(colors[f, here, c])
            for k in here:
                apart = 0.0
                for c in range(3):
                    apart += (colors[f, k, c] - centre[c]) ** 2
                distance[k] = np.sqrt(apart / 3.0)
            limit = max(_DEVIATIONS * 1.4826 * np.median(distance[here]), _LEAST_LEVELS)
            dropped = False
            for k in here:
                if distance[k] > limit:
                    agrees[f, k] = False
                    dropped = True
            if not dropped:
                break
    return agrees
