"""Settings of the geometric memory."""

from dataclasses import dataclass

from worldloom.errors import ConfigError


@dataclass(frozen=True)
class MemoryConfig:
    """How densely views write into the memory, and how it is cut into shards."""

    stride_px: int = 1
    """Every n-th pixel of every n-th row of a depth map is used; more is faster and sparser."""
    min_confidence: float = 0.35
    """Pixels below this confidence, 0 to 1, are left out; more is cleaner and less complete."""
    min_views: int = 2
    """Views that must agree on a cell before it enters the point cloud; more is cleaner."""
    max_points: int | None = None
    """Most points of the point cloud; those of least confidence are left out, then those that no
    recent view has seen. None: all."""
    shard_cells: int = 256
    """Side of a shard in cells, a power of two; more means fewer, larger work items."""
    max_shard_rows: int = 4_000_000
    """Rows (cell x view) one worker should hold, about 60 bytes each; denser shards are split."""

    def __post_init__(self) -> None:
        if self.stride_px < 1:
            raise ConfigError(f"stride_px must be at least 1, got {self.stride_px}")
        if not 0 <= self.min_confidence <= 1:
            raise ConfigError(f"min_confidence must be 0 to 1, got {self.min_confidence}")
        if self.min_views < 1:
            raise ConfigError(f"min_views must be at least 1, got {self.min_views}")
        if self.max_points is not None and self.max_points < 1:
            raise ConfigError(
                f"max_points must be at least 1, got {self.max_points}", field="max_points"
            )
        side = self.shard_cells
        if not 8 <= side <= 2**16 or side & (side - 1):
            raise ConfigError(f"shard_cells must be a power of two from 8 to 65536, got {side}")
        if self.max_shard_rows < 1:
            raise ConfigError(f"max_shard_rows must be at least 1, got {self.max_shard_rows}")

    @property
    def shard_shift(self) -> int:
        """Bits by which the key of a cell is shifted to give the number of its shard."""
        return 3 * (self.shard_cells.bit_length() - 1)
