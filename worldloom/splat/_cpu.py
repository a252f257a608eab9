"""The learner on the CPU."""

import numba
import numpy as np
from jaxtyping import Float32

from worldloom.cameras import Camera
from worldloom.splat._adam import Moments, adam
from worldloom.splat._crew import Crew
from worldloom.splat._gaussians import Gaussians, joined
from worldloom.splat._learner import Rates, TrainingView, Weights
from worldloom.splat._loss import depth_loss, photometric_loss, spread_loss
from worldloom.splat._rasterizer import Scene, Slopes, rasterize, slopes
from worldloom.splat._state import State, rows_of


class CpuLearner:
    """Takes steps with our own rasteriser; the same to the last bit for any number of threads.

    Args:
        state: Taken over and changed in place.
        weights: Of the loss.
        crew: Threads.
        around: Gaussians that are seen along with those of the state, and stay as they are.
    """

    def __init__(
        self, state: State, weights: Weights, crew: Crew, around: Gaussians | None = None
    ) -> None:
        self._weights, self._crew, self._around = weights, crew, around
        self.restore(state)

    def step(self, index: int, view: TrainingView, rates: Rates) -> float:
        """See `Learner.step`."""
        state, weights, crew = self._state, self._weights, self._crew
        scene = self._scene()
        raster = rasterize(scene, view.camera, rates.sh_degree, crew)
        gain = np.exp(state.gains[index])
        shown = np.ascontiguousarray(raster.image * gain)
        loss = photometric_loss(shown, view.target, weights.ssim)
        deep = depth_loss(raster.depth, raster.alpha, view.target)
        spread = spread_loss(raster.depth, raster.square, raster.alpha, view.target)
        w, v = np.float32(weights.depth), np.float32(weights.distortion)
        found = slopes(
            *(scene, raster, loss.image * gain, deep.depth * w + spread.depth * v),
            *(spread.square * v, deep.alpha * w + spread.alpha * v, crew, len(state)),
        )
        # Gradients in the image count in sizes of it, so that resolution does not matter.
        asked = np.hypot(found.in_image[:, 0], found.in_image[:, 1])
        state.demand[found.rows] += asked * np.float32(raster.view.width_px)
        self._regularize(scene, found, int((raster.boxes[:, 2] > 0).sum()))
        self._move(found, rates)
        if weights.exposure:
            self._adjust_gains(index, (loss.image * shown).sum(axis=(0, 1)), rates.gains)
        state.step += 1
        return loss.value + weights.depth * deep.value + weights.distortion * spread.value

    def render(self, camera: Camera, sh_degree: int) -> Float32[np.ndarray, "h w 3"]:
        """See `Learner.render`."""
        return rasterize(self._scene(), camera, sh_degree, self._crew).image

    def state(self) -> State:
        """See `Learner.state`; the very state, not a copy."""
        return self._state

    def restore(self, state: State) -> None:
        """See `Learner.restore`."""
        self._state, self._all = state, state.gaussians
        if self._around is not None:
            # One array for both, of which the state holds the front: nothing is copied in a step.
            self._all = joined(state.gaussians, self._around)
            state.gaussians = self._all.first(len(state))

    def _scene(self) -> Scene:
        g = self._all
        return Scene(g.means, g.rotations, g.scales, g.opacities, g.sh)

    def _regularize(self, scene: Scene, found: Slopes, seen: int) -> None:
        """Adds what is asked of the Gaussians themselves; gradients become those of parameters."""
        weights, state = self._weights, self._state
        seen = max(1, seen)
        self._crew.run(
            *(_regularize, scene.rotations, scene.scales, scene.opacities, state.normals),
            *(found.rows, weights.normal / seen, weights.opacity / seen),
            *(weights.scale / seen / weights.spacing_m / 3,),
            *(found.rotations, found.scales, found.opacities),
        )

    def _move(self, found: Slopes, rates: Rates) -> None:
        state = self._state
        state.updates[found.rows] += 1
        sh_rates = np.full(state.gaussians.sh.shape[1:], rates.sh_rest, np.float32)
        sh_rates[0] = rates.sh_base
        g = state.gaussians
        for name, values, slope, rate in (
            ("means", g.means, found.means, rates.means),
            ("log_scales", g.log_scales, found.scales, rates.log_scales),
            ("rotations", g.rotations, found.rotations, rates.rotations),
            ("logits", g.logits, found.opacities, rates.logits),
            ("sh", g.sh, found.sh, sh_rates.ravel()),
        ):
            rows, moments = rows_of(values), state.moments[name]
            self._crew.run(
                *(adam, rows, found.rows, rows_of(slope)),
                np.broadcast_to(np.asarray(rate, np.float32), rows.shape[1:]).copy(),
                *(moments.first, moments.second, state.updates),
            )

    def _adjust_gains(self, index: int, slope: Float32[np.ndarray, "3"], rate: float) -> None:
        """One step on the gain of a view; then the mean over the views is taken out of all."""
        state = self._state
        state.gain_updates[index] += 1
        row = slice(index, index + 1)
        moments = Moments(state.gain_moments.first[row], state.gain_moments.second[row])
        adam(
            *(0, 1, state.gains[row], np.zeros(1, np.int32), slope[None].astype(np.float32)),
            *(np.full(3, rate, np.float32), moments.first, moments.second),
            state.gain_updates[row],
        )
        state.gains -= state.gains.mean(axis=0)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _regularize(
    first: int,
    step: int,
    rotations: np.ndarray,
    scales: np.ndarray,
    opacities: np.ndarray,
    normals: np.ndarray,
    rows: np.ndarray,
    normal_weight: float,
    opacity_weight: float,
    scale_weight: float,
    rotations_slope: np.ndarray,
    scales_slope: np.ndarray,
    opacities_slope: np.ndarray,
) -> None:
    """Adds 1 - (n . third axis)^2, opacity and size; then the slopes of logarithm and logit."""
    for row in range(first, len(rows), step):
        n = rows[row]
        for axis in range(3):
            scale = np.float64(scales[n, axis])
            scales_slope[row, axis] = (scales_slope[row, axis] + scale_weight) * scale
        opacity = np.float64(opacities[n])
        opacities_slope[row] = (opacities_slope[row] + opacity_weight) * opacity * (1.0 - opacity)
        w, x = np.float64(rotations[n, 0]), np.float64(rotations[n, 1])
        y, z = np.float64(rotations[n, 2]), np.float64(rotations[n, 3])
        length = np.sqrt(w * w + x * x + y * y + z * z)
        w, x, y, z = w / length, x / length, y / length, z / length
        a, b, c = np.float64(normals[n, 0]), np.float64(normals[n, 1]), np.float64(normals[n, 2])
        aligned = a * 2 * (x * z + w * y) + b * 2 * (y * z - w * x) + c * (1 - 2 * (x * x + y * y))
        pull = -2.0 * normal_weight * aligned
        vw, vx = pull * 2 * (a * y - b * x), pull * 2 * (a * z - b * w - 2 * c * x)
        vy, vz = pull * 2 * (a * w + b * z - 2 * c * y), pull * 2 * (a * x + b * y)
        along = vw * w + vx * x + vy * y + vz * z
        rotations_slope[row, 0] += (vw - along * w) / length
        rotations_slope[row, 1] += (vx - along * x) / length
        rotations_slope[row, 2] += (vy - along * y) / length
        rotations_slope[row, 3] += (vz - along * z) / length
