"""Roughness from how colours change with the viewing direction.

A surface that is not matt is brightest where it mirrors a lamp towards the camera, and the
highlight falls off with the angle between the mirrored line of sight and the lamp. For the
distribution of Beckmann the lobe is close to a spherical Gaussian, exp(s (cos - 1)), over the
mirrored directions, with s = 1 / (2 a^2 c), where a is the width of the distribution and c the
cosine of the viewing angle (Wang et al., "All-frequency rendering of dynamic, spatially-varying
reflectance", SIGGRAPH Asia 2009, section 4); the roughness of glTF and of Burley (SIGGRAPH 2012)
is the root of a. No lamp is known: the brightest view stands for it, which holds if some view is
near the highlight, and makes surfaces look rougher, never smoother, if none is.
"""

import numba
import numpy as np
from jaxtyping import Bool, Float32, Int32

PLAIN_ROUGHNESS = 0.9
"""Where the views do not tell: most surfaces of rooms and streets are matt."""
_LEAST_VIEWS = 5
_LEAST_SPREAD_COSINE = 0.94
"""Mirrored directions have to differ by at least 20 degrees."""
_LEAST_EXCESS_LEVELS = 12.0
"""By which a highlight has to stand out of the median of the views."""
_EXPLAINED = 0.6
"""Share of the variance that the lobe has to explain: noise has no order by direction."""
_ROUGHEST, _SMOOTHEST = 1.0, 0.15
_SMOOTHING_ROUNDS = 3


def face_roughness(
    agreeing: Bool[np.ndarray, "f k"],
    color: Float32[np.ndarray, "f k 3"],
    reflected: Float32[np.ndarray, "f k 3"],
    cosine: Float32[np.ndarray, "f k"],
) -> Float32[np.ndarray, "f"]:
    """Returns the roughness of each face, 0 to 1; NaN where the views do not tell.

    Args:
        agreeing: Views that count.
        color: Mean colours, sRGB levels.
        reflected: Unit directions in which the lines of sight are mirrored.
        cosine: Of the viewing angles.
    """
    share = np.clip(color / np.float32(255), 0, 1)
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    light = linear @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    grey = color @ np.array([0.299, 0.587, 0.114], np.float32)
    return _estimates(
        agreeing, light.astype(np.float32), grey.astype(np.float32), reflected, cosine
    )


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _sharpness(light: np.ndarray, turn: np.ndarray, top: int) -> float:
    """Sharpness of the lobe around the brightest view; 0 where there is none.

    Args:
        light: Linear light of the views.
        turn: Cosines between their mirrored directions and that of the brightest.
        top: The brightest.
    """
    dimmest = np.sort(light)[: max(len(light) // 4, 1)]
    # What is matt is what the dimmest quarter of the views shows.
    floor = dimmest.mean()
    peak = light[top] - floor
    weights, lobes = 0.0, 0.0
    for k in range(len(light)):
        if turn[k] > 0.9999:
            continue
        excess = min(max((light[k] - floor) / peak, 0.02), 1.0)
        # Least squares of log(excess) = -s (1 - cos); logs of small excesses are uncertain.
        weight = excess * excess
        weights += weight * (1.0 - turn[k]) ** 2
        lobes += weight * (1.0 - turn[k]) * -np.log(excess)
    if weights <= 0.0 or lobes <= 0.0:
        return 0.0
    sharpness = lobes / weights
    left, whole = 0.0, 0.0
    for k in range(len(light)):
        if k != top:
            left += (light[k] - floor - peak * np.exp(sharpness * (turn[k] - 1.0))) ** 2
            whole += (light[k] - light.mean()) ** 2
    return sharpness if left < (1.0 - _EXPLAINED) * whole else 0.0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _estimates(
    agreeing: np.ndarray,
    light: np.ndarray,
    grey: np.ndarray,
    reflected: np.ndarray,
    cosine: np.ndarray,
) -> np.ndarray:
    roughness = np.full(len(agreeing), np.nan, np.float32)
    for f in range(len(agreeing)):
        here = np.flatnonzero(agreeing[f])
        if len(here) < _LEAST_VIEWS:
            continue
        shown = light[f, here].astype(np.float64)
        top = int(np.argmax(shown))
        if grey[f, here[top]] - np.median(grey[f, here]) < _LEAST_EXCESS_LEVELS:
            continue
        turn = np.empty(len(here))
        for k in range(len(here)):
            turn[k] = (reflected[f, here[k]] * reflected[f, here[top]]).sum()
        if turn.min() > _LEAST_SPREAD_COSINE:
            continue
        sharpness = _sharpness(shown, turn, top)
        if sharpness > 0.0:
            width = np.sqrt(1.0 / (2.0 * sharpness * max(cosine[f, here[top]], 0.2)))
            roughness[f] = min(max(np.sqrt(width), _SMOOTHEST), _ROUGHEST)
    return roughness


def vertex_roughness(
    roughness: Float32[np.ndarray, "f"], faces: Int32[np.ndarray, "f 3"], vertices: int
) -> Float32[np.ndarray, "v"]:
    """Returns the roughness of each vertex: the mean of the faces around it, then of its ring.

    A face counts as much as its neighbours agree: where most do not tell, the plain value wins.

    Args:
        roughness: Of each face; NaN where it is not known.
        faces: Vertex indices.
        vertices: Number of vertices.
    """
    known = np.where(np.isnan(roughness), np.float32(PLAIN_ROUGHNESS), roughness)
    return _spread(known.astype(np.float32), faces, vertices, _SMOOTHING_ROUNDS)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _spread(roughness: np.ndarray, faces: np.ndarray, vertices: int, rounds: int) -> np.ndarray:
    at_face = roughness.astype(np.float64)
    at_vertex = np.zeros(vertices)
    for _ in range(rounds):
        total, count = np.zeros(vertices), np.zeros(vertices)
        for f in range(len(faces)):
            for k in range(3):
                total[faces[f, k]] += at_face[f]
                count[faces[f, k]] += 1.0
        for v in range(vertices):
            at_vertex[v] = total[v] / count[v] if count[v] > 0.0 else PLAIN_ROUGHNESS
        for f in range(len(faces)):
            at_face[f] = (
                at_vertex[faces[f, 0]] + at_vertex[faces[f, 1]] + at_vertex[faces[f, 2]]
            ) / 3.0
    return at_vertex.astype(np.float32)
