"""Settings of layered meshes."""

from dataclasses import dataclass

from worldloom.errors import ConfigError


@dataclass(frozen=True)
class LayerConfig:
    """How a panorama with depth becomes a mesh of two layers."""

    max_jump: float = 0.05
    """Relative step of distance between neighbours from which on the mesh is cut, unless the slope
    of either surface explains it; more joins objects with what is behind them, less tears rough
    surfaces."""
    reach_deg: float = 10.0
    """How far the second layer goes on behind a cut, degrees as seen from the centre; more lets the
    viewer move farther before holes show, and invents more. 0 makes no second layer."""
    filled_confidence: float = 0.1
    """Confidence of points of the second layer at the cut; it falls to 0 at the end of the
    reach."""

    def __post_init__(self) -> None:
        if not 0 < self.max_jump < 1:
            raise ConfigError(
                f"max_jump must be between 0 and 1, got {self.max_jump}", field="max_jump"
            )
        if not 0 <= self.reach_deg <= 45:
            raise ConfigError(
                f"reach_deg must be 0 to 45 degrees, got {self.reach_deg}", field="reach_deg"
            )
        if not 0 <= self.filled_confidence <= 1:
            raise ConfigError(
                f"filled_confidence must be 0 to 1, got {self.filled_confidence}",
                field="filled_confidence",
            )
