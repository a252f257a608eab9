"""Views for the sweep that exercise its borders: rotated, with holes, partly out of sight."""

import cv2
import numpy as np

from worldloom.cameras import Camera, CameraIntrinsics
from worldloom.depth._sweep import MatchImage


def sweep_views(width_px: int, height_px: int, count: int) -> list[MatchImage]:
    """Returns views of smooth noise on both sides of the first one; every other one has a hole."""
    random = np.random.default_rng(0)
    lens = CameraIntrinsics(
        0.8 * width_px, 0.8 * width_px, width_px / 2, height_px / 2, width_px, height_px
    )
    views: list[MatchImage] = []
    for i in range(count):
        world_from_cam = np.eye(4)
        world_from_cam[:3, :3] = cv2.Rodrigues(np.array([0.02, 0.05, 0.01]) * i)[0]
        world_from_cam[:3, 3] = (0.2 * i * (-1) ** i, 0.05 * i, 0.02 * i)
        noise = random.uniform(0, 255, (height_px, width_px)).astype(np.float32)
        smooth = cv2.GaussianBlur(noise, (5, 5), 1)
        grey = (smooth - smooth.min()) / (smooth.max() - smooth.min()) * 255
        valid = np.ones(grey.shape, np.bool_)
        valid[: height_px // 4, : width_px // 4] = i % 2 == 0
        views.append(MatchImage(Camera(lens, world_from_cam), np.round(grey), valid))
    return views


def slanted_surface(width_px: int, height_px: int) -> np.ndarray:
    """Inverse depth that grows from left to right."""
    row = 0.5 + 0.1 * np.linspace(-1, 1, width_px, dtype=np.float32)
    return np.tile(row, (height_px, 1)).astype(np.float32)
