"""Matching of features, and how well a match fits the poses."""

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

from worldloom.cameras import Camera


def mutual_matches(
    own: UInt8[np.ndarray, "n 128"], other: UInt8[np.ndarray, "m 128"], ratio: float = 0.8
) -> np.ndarray:
    """Index pairs that are each other's nearest and clearly nearer than the second (Lowe 2004)."""
    if len(own) < 2 or len(other) < 2:
        return np.zeros((0, 2), np.intp)
    matcher = cv2.BFMatcher(cv2.NORM_L2)
    # RootSIFT (Arandjelovic and Zisserman 2012): Hellinger distance suits histograms better.
    roots = [np.sqrt(d / np.maximum(d.sum(1, keepdims=True), 1.0)) for d in (own, other)]
    forward = matcher.knnMatch(roots[0].astype(np.float32), roots[1].astype(np.float32), k=2)
    back = matcher.match(roots[1].astype(np.float32), roots[0].astype(np.float32))
    nearest_back = {match.queryIdx: match.trainIdx for match in back}
    pairs = [
        (first.queryIdx, first.trainIdx)
        for first, second in forward
        if first.distance < ratio * second.distance
        and nearest_back[first.trainIdx] == first.queryIdx
    ]
    return np.array(pairs, np.intp).reshape(-1, 2)


def epipolar_distance(
    own: Camera,
    other: Camera,
    own_px: Float64[np.ndarray, "n 2"],
    other_px: Float64[np.ndarray, "n 2"],
) -> Float64[np.ndarray, "n"]:
    """Sampson distance, pixels (Hartley and Zisserman 2004, eq. 11.9)."""
    other_from_own = other.cam_from_world @ own.world_from_cam
    x, y, z = other_from_own[:3, 3]
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    fundamental = (
        np.linalg.inv(other.pixel_from_cam).T
        @ (cross @ other_from_own[:3, :3])
        @ np.linalg.inv(own.pixel_from_cam)
    )
    a = np.column_stack([own_px, np.ones(len(own_px))])
    b = np.column_stack([other_px, np.ones(len(other_px))])
    line_other, line_own = a @ fundamental.T, b @ fundamental
    error = np.abs(np.sum(b * line_other, axis=1))
    gradient = (line_other[:, :2] ** 2).sum(axis=1) + (line_own[:, :2] ** 2).sum(axis=1)
    return error / np.sqrt(np.maximum(gradient, 1e-20))
