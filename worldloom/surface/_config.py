"""Settings of the surface."""

from dataclasses import dataclass

from worldloom.errors import ConfigError

_NOISE_SIGMAS, _LEAST_VOXELS, _MOST_VOXELS = 3.0, 3.0, 8.0
"""Truncation by noise: three sigmas hold all of it; three voxels are needed to find a zero between
samples, and beyond eight near surfaces run into each other."""


@dataclass(frozen=True)
class SurfaceConfig:
    """How depth maps become one surface."""

    truncation_voxels: float | None = None
    """Distance from the surface at which the signed distance saturates, voxels; more bridges
    noise and gaps, less keeps thin things and fine detail. None: from the noise of the depth, as
    the views measure it on each other, 3 to 8."""
    carve_weight: float = 0.2
    """Weight, 0 to 1, with which a view empties the space before its surface, relative to its
    weight on the surface; more removes floating pieces, and thin things with them."""
    min_views: int = 3
    """Views that must see a place near their surface before there is a mesh; more is cleaner.
    Never more than a quarter of all views, but at least two."""
    min_confidence: float = 0.35
    """Pixels below this confidence, 0 to 1, are left out; more is cleaner and less complete."""
    min_component_faces: int = 300
    """Pieces of the mesh with fewer faces are removed, but for the largest; more is cleaner."""
    chunk_blocks: int = 2048
    """Blocks of 16x16x16 voxels a worker holds, about 50 kB each; the result does not depend on
    it."""
    max_views_per_chunk: int | None = None
    """Views on the surface of one chunk; fewer means smaller chunks. None: no bound. The result
    does not depend on it."""
    chunk_size_m: float | None = None
    """Side of the boxes that no chunk reaches beyond, world unit, rounded down to a power of two
    of blocks. None: no bound. The result does not depend on it."""

    def truncation_m(self, voxel_m: float, noise_m: float) -> float:
        """Returns the truncation distance, world unit.

        Args:
            voxel_m: Side of a voxel, world unit.
            noise_m: Standard deviation of a depth, world unit.
        """
        if self.truncation_voxels is not None:
            return self.truncation_voxels * voxel_m
        return min(max(_NOISE_SIGMAS * noise_m, _LEAST_VOXELS * voxel_m), _MOST_VOXELS * voxel_m)

    def views_needed(self, view_count: int) -> int:
        """Returns `min_views`, less where there are few views."""
        return min(self.min_views, max(view_count // 4, 2))

    def __post_init__(self) -> None:
        if self.truncation_voxels is not None and not 1 <= self.truncation_voxels <= 16:
            raise ConfigError(f"truncation_voxels must be 1 to 16, got {self.truncation_voxels}")
        if not 0 <= self.carve_weight <= 1:
            raise ConfigError(f"carve_weight must be 0 to 1, got {self.carve_weight}")
        if self.min_views < 1:
            raise ConfigError(f"min_views must be at least 1, got {self.min_views}")
        if not 0 <= self.min_confidence <= 1:
            raise ConfigError(f"min_confidence must be 0 to 1, got {self.min_confidence}")
        if self.min_component_faces < 0:
            raise ConfigError(
                f"min_component_faces must not be negative, got {self.min_component_faces}"
            )
        if self.max_views_per_chunk is not None and self.max_views_per_chunk < 1:
            raise ConfigError(
                f"max_views_per_chunk must be at least 1, got {self.max_views_per_chunk}",
                field="max_views_per_chunk",
            )
        if self.chunk_size_m is not None and not self.chunk_size_m > 0:
            raise ConfigError(
                f"chunk_size_m must be above 0, got {self.chunk_size_m}", field="chunk_size_m"
            )
        if self.chunk_blocks < 1:
            raise ConfigError(f"chunk_blocks must be at least 1, got {self.chunk_blocks}")
