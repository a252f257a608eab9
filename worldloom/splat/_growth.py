"""Growth: Gaussians that fade are moved, and some are added, to where the images ask for more.

Seeds cover the surface already, so this is the exception: the number is bounded, and a Gaussian
is split only along its longest axis. What is moved is taken from what has faded, as in Kheradmand
et al., "3D Gaussian splatting as Markov chain Monte Carlo", NeurIPS 2024, section 3.3; where to is
drawn by the gradients in the image plane, as in Kerbl et al. 2023, section 5.2.
"""

import numpy as np
from jaxtyping import Int

from worldloom.splat._gaussians import Gaussians
from worldloom.splat._state import PARAMETERS, State

FADED_OPACITY = 0.01
_APART, _NARROWER = 0.6, 0.75
"""Halves stand this many deviations from the middle and are this much narrower: together they have
0.92 of the variance of the whole."""
_OPACITY_POWER = 0.7
"""Each half keeps this power of the transmittance: between one half (both in one place) and one."""


def grown(state: State, more: int, rng: np.random.Generator) -> State:
    """Returns a state with faded Gaussians moved and up to `more` added.

    Args:
        state: Taken over; do not use it afterwards.
        more: Gaussians to add.
        rng: Draws the places.
    """
    opacities = state.gaussians.opacities
    faded = np.flatnonzero(opacities < FADED_OPACITY)
    alive = np.flatnonzero((opacities >= FADED_OPACITY) & (state.demand > 0))
    wanted = min(len(faded) + more, len(alive))
    if wanted == 0:
        state.demand[:] = 0
        return state
    share = state.demand[alive].astype(np.float64)
    split = np.sort(rng.choice(alive, wanted, replace=False, p=share / share.sum()))
    moved = faded[:wanted]
    rows = np.concatenate([np.arange(len(state)), split[: wanted - len(moved)]])
    rows[moved] = split[wanted - len(moved) :]
    # The halves: each split Gaussian in its own row, and in the row that was given to it.
    others = np.concatenate([np.arange(len(state), len(rows)), moved])
    fresh = np.zeros(len(rows), bool)
    fresh[split], fresh[others] = True, True
    result = State(
        step=state.step,
        gaussians=state.gaussians.select(rows),
        normals=state.normals[rows],
        moments={name: state.moments[name].select(rows, fresh) for name in PARAMETERS},
        updates=np.where(fresh, 0, state.updates[rows]).astype(np.int32),
        demand=np.zeros(len(rows), np.float32),
        gains=state.gains,
        gain_moments=state.gain_moments,
        gain_updates=state.gain_updates,
        seeds=state.seeds,
        best=state.best,
        looks_since_best=state.looks_since_best,
    )
    _halve(result.gaussians, split, 1.0)
    _halve(result.gaussians, others, -1.0)
    return result


def _halve(gaussians: Gaussians, rows: Int[np.ndarray, "m"], side: float) -> None:
    """Makes each row one half of what it was, along its longest axis."""
    scales = gaussians.log_scales[rows]
    longest = scales.argmax(axis=1)
    each = np.arange(len(rows))
    axis = _axes(gaussians.rotations[rows])[each, :, longest]
    length = np.exp(scales[each, longest])[:, None]
    gaussians.means[rows] += (side * _APART * length * axis).astype(np.float32)
    gaussians.log_scales[rows, longest] += np.float32(np.log(_NARROWER))
    opacity = 1 / (1 + np.exp(-gaussians.logits[rows].astype(np.float64)))
    opacity = np.clip(1 - (1 - opacity) ** _OPACITY_POWER, 1e-6, 1 - 1e-6)
    gaussians.logits[rows] = np.log(opacity / (1 - opacity))


def _axes(rotations: np.ndarray) -> np.ndarray:
    """Matrices [n 3 3] of quaternions wxyz of any length; columns are the axes."""
    unit = rotations / np.linalg.norm(rotations, axis=1, keepdims=True)
    w, x, y, z = unit.astype(np.float64).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=1)
