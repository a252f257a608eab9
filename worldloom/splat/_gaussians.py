"""Gaussians as they are trained: arrays that grow and change in place."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from worldloom.scene import Splats

SH_C0 = 0.28209479177387814
"""Spherical harmonic of degree 0."""
_MIN_LOGIT_OPACITY = 1e-6


@dataclass(eq=False)
class Gaussians:
    """Parameters without bounds, one row a Gaussian."""

    means: Float32[np.ndarray, "n 3"]
    """World."""
    log_scales: Float32[np.ndarray, "n 3"]
    rotations: Float32[np.ndarray, "n 4"]
    """Quaternions wxyz of any length."""
    logits: Float32[np.ndarray, "n"]
    """Of the opacities."""
    sh: Float32[np.ndarray, "n k 3"]

    def __len__(self) -> int:
        return len(self.means)

    @property
    def scales(self) -> Float32[np.ndarray, "n 3"]:
        """Standard deviations along the axes, world unit."""
        return np.exp(self.log_scales)

    @property
    def opacities(self) -> Float32[np.ndarray, "n"]:
        """0 to 1."""
        return np.float32(1) / (np.float32(1) + np.exp(-self.logits))

    def select(self, rows: np.ndarray) -> "Gaussians":
        """Returns some rows, as copies."""
        return Gaussians(
            self.means[rows],
            self.log_scales[rows],
            self.rotations[rows],
            self.logits[rows],
            self.sh[rows],
        )

    def first(self, count: int) -> "Gaussians":
        """Returns the first rows, as views on the same memory."""
        return Gaussians(
            self.means[:count],
            self.log_scales[:count],
            self.rotations[:count],
            self.logits[:count],
            self.sh[:count],
        )

    def splats(self) -> Splats:
        """Returns the product."""
        lengths = np.linalg.norm(self.rotations, axis=1, keepdims=True)
        return Splats(
            self.means.copy(),
            self.scales,
            (self.rotations / lengths).astype(np.float32),
            self.opacities,
            self.sh.copy(),
        )


def joined(front: Gaussians, back: Gaussians) -> Gaussians:
    """Returns the rows of both, as copies; bands of harmonics that one lacks are 0."""
    bands = max(front.sh.shape[1], back.sh.shape[1])
    return Gaussians(
        np.concatenate([front.means, back.means]),
        np.concatenate([front.log_scales, back.log_scales]),
        np.concatenate([front.rotations, back.rotations]),
        np.concatenate([front.logits, back.logits]),
        np.concatenate(
            [np.pad(g.sh, ((0, 0), (0, bands - g.sh.shape[1]), (0, 0))) for g in (front, back)]
        ),
    )


def gaussians_from_splats(splats: Splats) -> Gaussians:
    """Returns the parameters of a product."""
    opacities = np.clip(splats.opacities, _MIN_LOGIT_OPACITY, 1 - _MIN_LOGIT_OPACITY)
    return Gaussians(
        splats.means_in_world.copy(),
        np.log(splats.scales_m),
        splats.rotations.copy(),
        np.log(opacities / (1 - opacities)).astype(np.float32),
        splats.sh.copy(),
    )
