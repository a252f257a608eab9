"""Settings of refinement."""

from dataclasses import dataclass

from worldloom.errors import ConfigError


@dataclass(frozen=True)
class RefinementConfig:
    """How a mesh is refined."""

    min_piece_share: float = 0.02
    """Loose pieces are removed whose diagonal is below this share of that of the main piece; more
    is cleaner."""
    spike_edges: float = 4.0
    """A vertex that sticks out by more than this many lengths of the edges around it is pulled
    back; less flattens pointed things too."""
    normal_rounds: int = 8
    """Passes of the filter over the normals; more is smoother, and slower."""
    vertex_rounds: int = 10
    """Passes in which vertices follow the normals."""
    normal_sigma: float = 0.35
    """Difference of the unit normals of neighbouring faces up to which they are made one surface;
    more smooths coarser noise, and rounds edges."""
    max_hole_share: float = 0.05
    """Diameter of the greatest hole that is filled, as a share of the diagonal of the main
    piece."""
    max_hole_m: float | None = None
    """The same as a length, world unit, instead of the share."""
    max_hole_edges: int = 1000
    """Holes with more edges are left open; time grows with the third power."""

    def __post_init__(self) -> None:
        for name in ("min_piece_share", "max_hole_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be 0 to 1, got {getattr(self, name)}", field=name)
        if not self.spike_edges >= 1:
            raise ConfigError(
                f"spike_edges must be at least 1, got {self.spike_edges}", field="spike_edges"
            )
        for name in ("normal_rounds", "vertex_rounds"):
            if getattr(self, name) < 0:
                raise ConfigError(
                    f"{name} must not be negative, got {getattr(self, name)}", field=name
                )
        if not 0 < self.normal_sigma <= 2:
            raise ConfigError(
                f"normal_sigma must be above 0 and at most 2, got {self.normal_sigma}",
                field="normal_sigma",
            )
        if self.max_hole_m is not None and not self.max_hole_m >= 0:
            raise ConfigError(
                f"max_hole_m must not be negative, got {self.max_hole_m}", field="max_hole_m"
            )
        if not 3 <= self.max_hole_edges <= 4000:
            raise ConfigError(
                f"max_hole_edges must be 3 to 4000, got {self.max_hole_edges}",
                field="max_hole_edges",
            )
