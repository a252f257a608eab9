"""Gaussians to write, read and turn."""

import numpy as np

from worldloom.scene import Splats


def gaussians(count: int = 40, degree: int = 3, seed: int = 0, reach: float = 3.0) -> Splats:
    """Random ones; coefficients above degree 0 stay within 1."""
    rng = np.random.default_rng(seed)
    turns = rng.normal(size=(count, 4))
    sh = rng.uniform(-0.9, 0.9, (count, (degree + 1) ** 2, 3))
    sh[:, 0] = rng.uniform(-1.7, 1.7, (count, 3))
    return Splats(
        rng.uniform(-reach, reach, (count, 3)).astype(np.float32),
        np.exp(rng.uniform(-7, 0, (count, 3))).astype(np.float32),
        (turns / np.linalg.norm(turns, axis=1, keepdims=True)).astype(np.float32),
        rng.uniform(0.01, 0.99, count).astype(np.float32),
        sh.astype(np.float32),
    )


def same_turns(first: np.ndarray, second: np.ndarray) -> float:
    """The largest angle between two sets of quaternions, radians."""
    cosine = np.abs((first.astype(float) * second.astype(float)).sum(axis=1))
    return float(2 * np.arccos(np.clip(cosine, 0, 1)).max())
