"""Settings of pose refinement, and of the warning about poses that are off."""

from dataclasses import dataclass

from worldloom.errors import ConfigError


@dataclass(frozen=True)
class PoseConfig:
    """How far, and on what evidence, given poses may be corrected."""

    max_rotation_deg: float = 2.0
    """A view that would have to turn further keeps its given pose and is reported, degrees."""
    max_translation_share: float = 0.03
    """A view that would have to move further keeps its given pose, as a share of the scene size
    (diagonal of the box of the sparse points)."""
    prior_rotation_deg: float = 0.5
    """Deviation of the given rotations about each axis that is believed at first, degrees; more
    follows the images, less the given poses. The second pass believes what the first has found,
    but never more than this."""
    prior_translation_share: float = 0.01
    """The same for positions, along each axis, as a share of the scene size."""
    max_features: int = 2000
    """Features a view; more is more exact and slower by its square."""
    min_contrast: float = 0.013
    """Contrast of the weakest features; less finds more on weak texture, and worse ones."""
    resolution_px: int = 1024
    """Longer image side for features; images are never enlarged. More is more exact and slower."""
    matched_views: int = 7
    """Views that each view is matched with: those at distance ranks 1, 2, 4, 8, ...; more ties the
    views together over longer distances."""
    wide_epipolar_px: float = 30.0
    """Largest distance of a match from its epipolar line in the first pass, where poses are as
    given, at 512 pixels of width; what passes is verified without the poses."""
    epipolar_px: float = 3.0
    """The same in the second pass, where poses are those of the first."""
    huber_px: float = 1.0
    """Reprojection error from which on an observation counts less, at 512 pixels of width; less
    shuts out more wrong matches."""
    feature_px: float = 0.5
    """Deviation of a feature from its true place, at 512 pixels of width: what weighs the images
    against the given poses."""
    min_observations: int = 20
    """A view with fewer matched features keeps its given pose."""
    max_iterations: int = 30
    """Steps of each round of the adjustment, at most."""
    warn_px: float = 3.0
    """Views with a larger reprojection residual are named in a warning, at 512 pixels of width."""

    def __post_init__(self) -> None:
        for field in (
            "max_rotation_deg",
            "max_translation_share",
            "prior_rotation_deg",
            "prior_translation_share",
            "wide_epipolar_px",
            "epipolar_px",
            "huber_px",
            "feature_px",
            "warn_px",
        ):
            value = getattr(self, field)
            if not value > 0:
                raise ConfigError(f"{field} must be above 0, got {value}", field=field)
        for field in (
            "max_features",
            "resolution_px",
            "matched_views",
            "min_observations",
            "max_iterations",
        ):
            value = getattr(self, field)
            if value < 1:
                raise ConfigError(f"{field} must be at least 1, got {value}", field=field)
