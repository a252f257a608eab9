"""Predictions of single views, each in a unit of its own, joined to one panorama."""

import cv2
import numpy as np
import pytest

from tests.balls import BallRoom, turned
from worldloom.errors import ReconstructionError
from worldloom.learned import Prediction
from worldloom.panorama import (
    PredictedView,
    SphereSampling,
    align_views,
    blended_distance,
    panorama_from_view,
    pixel_rays,
)
from worldloom.panorama._image import view_rays

ROOM = BallRoom()
POSE = turned(15, 5, (0.1, 0.2, -0.3))
SIDE_PX = 64


def predictions(
    kind: str, quantity: str, *, noise: float = 0.0, spoiled: float = 0.0, seed: int = 0
) -> list[PredictedView]:
    """The truth, up to a scale and a shift of each view."""
    rng = np.random.default_rng(seed)
    sampling = SphereSampling(kind, view_px=SIDE_PX)  # type: ignore[arg-type]
    views: list[PredictedView] = []
    for camera in sampling.cameras(512, POSE):
        rays = view_rays(camera) @ camera.world_from_cam[:3, :3].T
        length = np.linalg.norm(rays, axis=-1)
        z = ROOM.distance(rays / length[..., None], POSE[:3, 3]) / length
        values = 1 / z if quantity == "inverse_depth" else z
        values = values * rng.normal(1, noise, z.shape)
        values = np.where(rng.uniform(size=z.shape) < spoiled, values * 3, values)
        shift = rng.uniform(-0.2, 0.2) if quantity == "inverse_depth" else 0.0
        values = rng.uniform(0.3, 3) * values + shift
        found = Prediction(values.astype(np.float32), np.ones(z.shape, bool))
        views.append(PredictedView(camera, panorama_from_view(camera, POSE), found))
    return views


def relative_error(views: list[PredictedView], quantity: str, height: int = 64) -> np.ndarray:
    """Relative error of the joined distances, up to the unit that nobody knows."""
    joined = blended_distance(views, align_views(views, quantity), quantity, height)  # type: ignore[arg-type]
    rays = pixel_rays(2 * height, height) @ POSE[:3, :3].T
    ratio = joined.distance / ROOM.distance(rays, POSE[:3, 3])
    return ratio / np.median(ratio) - 1


@pytest.mark.parametrize("kind", ["cube", "icosahedron"])
@pytest.mark.parametrize("quantity", ["inverse_depth", "depth"])
def test_scales_and_shifts_of_all_views_are_found(kind: str, quantity: str) -> None:
    error = np.abs(relative_error(predictions(kind, quantity), quantity))
    assert np.median(error) < 0.004
    # Pixels that straddle the outline of the ball are interpolated; nothing else is off.
    assert np.percentile(error, 97) < 0.02


@pytest.mark.parametrize("quantity", ["inverse_depth", "depth"])
def test_noise_and_outliers_do_not_turn_the_result(quantity: str) -> None:
    views = predictions("icosahedron", quantity, noise=0.02, spoiled=0.05)
    error = np.abs(relative_error(views, quantity))
    assert np.median(error) < 0.03


def test_there_are_no_steps_where_views_end() -> None:
    """Views that agree only roughly are still joined smoothly: steps are far below the noise."""
    views = predictions("cube", "inverse_depth")
    crooked = []
    for number, view in enumerate(views):
        slope = 1 + 0.1 * (-1) ** number * np.linspace(-1, 1, SIDE_PX, dtype=np.float32)
        values = view.prediction.values * slope
        found = Prediction(values.astype(np.float32), view.prediction.known)
        crooked.append(PredictedView(view.camera, view.pano_from_view, found))
    joined = blended_distance(crooked, align_views(crooked, "inverse_depth"), "inverse_depth", 128)
    rays = pixel_rays(256, 128) @ POSE[:3, :3].T
    truth = ROOM.distance(rays, POSE[:3, 3])
    ratio = np.log(joined.distance / truth)
    wall = truth == ROOM.wall_distance(rays, POSE[:3, 3])
    smooth = np.asarray(cv2.erode(wall.astype(np.uint8), np.ones((9, 9), np.uint8))) > 0
    across = np.abs(ratio - np.roll(ratio, 1, axis=1))[40:88]
    assert np.ptp(ratio[smooth]) > 0.1, "the views do disagree"
    # The rims of neighbours differ by 0.2; over the ten degrees of overlap that is 0.028 a pixel.
    assert across[smooth[40:88]].max() < 0.03


def test_metres_stay_metres() -> None:
    views = predictions("cube", "depth")
    metric = [
        PredictedView(
            view.camera,
            view.pano_from_view,
            Prediction(
                (view.prediction.values / view.prediction.values.min()).astype(np.float32),
                view.prediction.known,
            ),
        )
        for view in views
    ]
    alignments = align_views(metric, "depth")
    assert np.mean([alignment.scale for alignment in alignments]) == pytest.approx(1, abs=1e-6)


def test_the_unit_of_inverse_depth_is_the_median_distance_and_sky_is_left_out() -> None:
    views = predictions("cube", "inverse_depth")
    joined = blended_distance(views, align_views(views, "inverse_depth"), "inverse_depth", 64)
    assert np.median(joined.distance[joined.distance > 0]) == pytest.approx(1, rel=0.01)
    assert joined.confidence[joined.distance > 0].min() > 0
    assert joined.confidence.max() <= 0.5


def test_predictions_of_no_use_are_refused() -> None:
    views = predictions("cube", "inverse_depth")

    def replaced(values: np.ndarray) -> list[PredictedView]:
        return [
            PredictedView(v.camera, v.pano_from_view, Prediction(values, v.prediction.known))
            for v in views
        ]

    broken = np.full((SIDE_PX, SIDE_PX), np.nan, np.float32)
    with pytest.raises(ReconstructionError, match="not numbers"):
        align_views(replaced(broken), "inverse_depth")
    with pytest.raises(ReconstructionError, match="flat"):
        align_views(replaced(np.ones((SIDE_PX, SIDE_PX), np.float32)), "inverse_depth")
