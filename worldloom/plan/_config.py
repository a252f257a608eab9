"""Settings of planning."""

from dataclasses import dataclass

from worldloom.errors import ConfigError


@dataclass(frozen=True)
class PlanConfig:
    """How views are matched and chosen."""

    max_features: int = 600
    """SIFT features a view; more finds depth ranges on weaker texture, costs time."""
    matched_views: int = 6
    """Views that each view is matched with to find its depth range."""
    max_epipolar_px: float = 2.0
    """Largest distance of a match from its epipolar line, at 512 pixels of width."""
    near_margin: float = 0.75
    """The nearest plane is this share of the first percentile of point depths."""
    far_margin: float = 1.5
    """The farthest plane is this multiple of the 99th percentile of point depths."""
    max_partners: int = 6
    """Partners of a view in matching; more is steadier and slower."""
    max_witnesses: int = 16
    """Views whose depth a view's depth is compared with, partners first; more keeps more of it, and
    is slower."""
    best_angle_deg: float = 6.0
    """Triangulation angle from which on a partner gets its full score."""
    wide_angle_deg: float = 15.0
    """Angle beyond which a partner loses score, with a spread of `angle_spread_deg`."""
    angle_spread_deg: float = 10.0
    """See `wide_angle_deg`."""
    min_score: float = 0.02
    """Least score (overlap times angle factor) of a partner."""
    min_spacing: float = 0.25
    """Least distance between two partners, as a share of the baseline: they should differ."""

    def __post_init__(self) -> None:
        if self.max_partners < 1:
            raise ConfigError(
                f"max_partners must be at least 1, got {self.max_partners}", field="max_partners"
            )
        if not 0 < self.near_margin <= 1 <= self.far_margin:
            raise ConfigError(
                "margins must satisfy 0 < near_margin <= 1 <= far_margin, got "
                f"{self.near_margin} and {self.far_margin}",
                field="near_margin",
            )
