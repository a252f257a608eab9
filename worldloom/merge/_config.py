"""Settings of the merge."""

from dataclasses import dataclass

from worldloom.errors import ConfigError


@dataclass(frozen=True)
class AlignmentConfig:
    """How chunks are held against the geometric memory."""

    move: bool = False
    """Move a chunk onto the memory where its residual says so. Chunks of depth maps wrote the
    memory themselves and lie on one lattice: they are measured and stay."""
    tolerance_voxels: float = 1.0
    """Median distance from the memory up to which a chunk stays in any case, voxels."""
    gain: float = 0.5
    """A chunk is moved only if that brings its residual below this share of what it was."""
    samples: int = 4096
    """Vertices of a chunk that are compared; more is slower and steadier."""

    def __post_init__(self) -> None:
        if self.tolerance_voxels < 0:
            raise ConfigError(
                f"tolerance_voxels must not be negative, got {self.tolerance_voxels}",
                field="tolerance_voxels",
            )
        if not 0 < self.gain <= 1:
            raise ConfigError(f"gain must be above 0, at most 1, got {self.gain}", field="gain")
        if self.samples < 200:
            raise ConfigError(f"samples must be at least 200, got {self.samples}", field="samples")
