"""Settings of the implicit surface."""

from dataclasses import dataclass

import numpy as np

from worldloom.errors import ConfigError


@dataclass(frozen=True)
class NeuralConfig:
    """How a signed distance field and its colours are fitted to the images, chunk by chunk."""

    steps: int = 400
    """Steps of the optimizer for each chunk; more is finer, and slower in proportion."""
    rays: int = 1024
    """Rays a step; more is steadier, and slower in proportion."""
    samples: int = 12
    """Samples a ray, all near the fused surface; more is finer, and slower in proportion."""
    image_scale: float = 2.0
    """Side of the images that are learnt from, relative to that of the depth maps; never above
    their own size. More is finer, and needs more steps."""
    max_rays: int = 1_500_000
    """Rays that a chunk holds at once, about 40 bytes each; of more an even choice is taken."""
    levels: int = 6
    """Grids of features, each twice as fine as the one before; the finest has half a voxel."""
    features: int = 4
    """Features a grid."""
    table_log2: int = 17
    """Entries of the table of a grid, as a power of two; grids with more cells share entries."""
    learning_rate: float = 0.015
    """Of Adam for the features; the decoders take a fifth of it."""
    color_weight: float = 1.0
    """Weight of the colours of the images; levels 0 to 1."""
    depth_weight: float = 0.2
    """Weight of the depth maps; distance in voxels. More stays nearer to them."""
    normal_weight: float = 0.2
    """Weight of the normals of the depth maps; more is smoother along surfaces."""
    eikonal_weight: float = 0.02
    """Weight of a slope of one: it keeps the field a distance."""
    anchor_weight: float = 0.02
    """Weight of the fused distance; in voxels. More stays nearer to it where images say nothing."""
    first_sharpness: float = 1.0
    """Width of the surface as rays see it at the start, voxels."""
    last_sharpness: float = 0.25
    """The same at the end."""
    learn_exposure: bool = False
    """Fit a gain for each view and channel beside the field; their mean stays 1."""
    chunk_blocks: int = 256
    """Blocks of 16x16x16 voxels in a chunk; chunks are fitted side by side."""
    seam_voxels: int = 8
    """Distance from the next chunk over which the fitted field gives way to the fused one, on
    which both chunks agree, voxels."""
    checkpoint_steps: int = 200
    """Steps between checkpoints."""
    seed: int = 0
    """Of the starting features and of the choice of rays."""

    def __post_init__(self) -> None:
        whole = ("steps", "rays", "max_rays", "chunk_blocks", "checkpoint_steps", "features")
        weights = ("color", "depth", "normal", "eikonal", "anchor")
        self._require(whole, 1, np.inf)
        self._require(("samples",), 4, 64)
        self._require(("levels",), 1, 10)
        self._require(("table_log2",), 10, 24)
        self._require(("seam_voxels",), 1, 16)
        self._require(("learning_rate", "image_scale", "last_sharpness"), 1e-9, np.inf)
        self._require(("first_sharpness",), self.last_sharpness, np.inf)
        self._require(tuple(f"{name}_weight" for name in weights), 0, np.inf)

    def _require(self, names: tuple[str, ...], least: float | int, most: float | int) -> None:
        for name in names:
            value: float = getattr(self, name)
            if not least <= value <= most:
                bounds = f"at least {least:g}" if most == np.inf else f"{least:g} to {most:g}"
                raise ConfigError(f"{name} is {value}; give {bounds}", field=name)
