"""A canvas in metres, and the seeded noise that procedural textures are made of."""

import math

import cv2
import numpy as np
from jaxtyping import Float32


class Canvas:
    """The texture of one surface patch: a grid of texels with seeded random fields.

    Random fields are drawn per metre, not per texel, so a coarser canvas of the same seed shows the
    same pattern with less detail.

    Args:
        width_m: Extent along u.
        height_m: Extent along v.
        texel_m: Size of a texel.
        seed: Seed of all its random fields.
    """

    def __init__(self, width_m: float, height_m: float, texel_m: float, seed: int) -> None:
        self.width_m = width_m
        self.height_m = height_m
        self.texel_m = texel_m
        self.width_px = max(2, math.ceil(width_m / texel_m))
        self.height_px = max(2, math.ceil(height_m / texel_m))
        self._seed = seed
        self._drawn = 0
        u = (np.arange(self.width_px, dtype=np.float32) + 0.5) * (width_m / self.width_px)
        v = (np.arange(self.height_px, dtype=np.float32) + 0.5) * (height_m / self.height_px)
        self.u, self.v = np.meshgrid(u, v)

    def rng(self) -> np.random.Generator:
        """Returns a fresh generator; the k-th call gives the same one on every canvas of a seed."""
        self._drawn += 1
        return np.random.default_rng((self._seed, self._drawn))

    def noise(self, scale_u_m: float, scale_v_m: float | None = None) -> Float32[np.ndarray, "h w"]:
        """Returns smooth noise of mean 0 and deviation about 1 with features of a given size.

        Noise finer than the texels is 0, as it would average out.
        """
        scale_v_m = scale_u_m if scale_v_m is None else scale_v_m
        rng = self.rng()
        if max(scale_u_m, scale_v_m) < 1.2 * self.texel_m:
            return np.zeros((self.height_px, self.width_px), np.float32)
        columns = math.ceil(self.width_m / scale_u_m) + 4
        rows = math.ceil(self.height_m / scale_v_m) + 4
        lattice = rng.standard_normal((rows, columns), np.float32)
        to_lattice_u = np.float32(1 / scale_u_m)
        to_lattice_v = np.float32(1 / scale_v_m)
        return 1.4 * cv2.remap(
            lattice,
            self.u * to_lattice_u + 1.5,
            self.v * to_lattice_v + 1.5,
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REFLECT,
        )

    def fractal(
        self, coarsest_m: float, octaves: int = 6, gain: float = 0.7, stretch: float = 1.0
    ) -> Float32[np.ndarray, "h w"]:
        """Returns a sum of noise octaves, each half as large and `gain` as strong as the last.

        Args:
            coarsest_m: Size of the largest features.
            octaves: Number of octaves.
            gain: Strength of an octave over the one before.
            stretch: Length of features along u over that along v.
        """
        total = np.zeros((self.height_px, self.width_px), np.float32)
        power = 0.0
        for octave in range(octaves):
            scale = coarsest_m / 2**octave
            total += gain**octave * self.noise(scale * stretch, scale)
            power += gain ** (2 * octave)
        return total / np.float32(math.sqrt(power))

    def cells(
        self, rows: np.ndarray, columns: np.ndarray, channels: int = 1
    ) -> Float32[np.ndarray, "h w c"]:
        """Returns normal random values that are constant over each (row, column) cell."""
        rng = self.rng()
        shape = (int(rows.max()) + 1, int(columns.max()) + 1, channels)
        return rng.standard_normal(shape, np.float32)[rows, columns]
