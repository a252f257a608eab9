"""Settings of depth estimation."""

from dataclasses import dataclass, field

from worldloom.depth._backend import SweepBackend
from worldloom.depth._proposals import PropagationConfig
from worldloom.errors import ConfigError


@dataclass(frozen=True)
class SweepConfig:
    """Round 1: fronto-parallel plane sweep at reduced size."""

    window_px: int = 7
    """Side of the matching window, odd; larger is calmer on weak texture, blurs edges."""
    window_stride_px: int = 1
    """Distance of the samples in the window."""
    grey_sigma: float = 12.0
    """Difference of grey levels at which a neighbour's weight falls to 1/e; lower keeps edges."""
    noise_level: float = 1.5
    """Standard deviation of image noise, grey levels; texture below it does not count."""
    plane_step_px: float = 1.0
    """Motion in a partner between neighbouring planes; smaller is finer and slower."""
    min_planes: int = 64
    """Fewest depth planes."""
    max_planes: int = 96
    """Most depth planes; bounds memory and time."""
    small_step: int = 24
    """Cost of a change by one plane between neighbours; higher is smoother on slants."""
    large_step: int = 300
    """Cost of any larger change on flat colour; higher fills weak texture, loses thin things."""
    guide_scale: float = 8.0
    """Grey levels of an edge that halve `large_step`; lower lets depth edges follow colour."""
    backend: SweepBackend = "cpu"
    """What computes matching costs. cpu: compiled loops; cuda: kernels in Triton, on the GPU of the
    worker; torch: plain torch on the CPU, slow, to compare with; auto: cuda where the workers have
    a GPU, else cpu. Results are bit-identical on one backend and kind of device; on others 99.99%
    of costs differ by at most 1 of 255."""

    def __post_init__(self) -> None:
        _check_window(self.window_px)
        if not 3 <= self.min_planes <= self.max_planes <= 256:
            raise ConfigError(
                f"planes must satisfy 3 <= min_planes <= max_planes <= 256, got "
                f"{self.min_planes} and {self.max_planes}",
                field="min_planes",
            )


@dataclass(frozen=True)
class RefineConfig:
    """Round 2: a sweep of the prior surface at full size."""

    window_px: int = 7
    """Side of the matching window, odd."""
    window_stride_px: int = 1
    """Distance of the samples in the window."""
    grey_sigma: float = 12.0
    """Difference of grey levels at which a neighbour's weight falls to 1/e."""
    noise_level: float = 1.5
    """Standard deviation of image noise, grey levels."""
    reach_planes: float = 1.0
    """How far to look on each side of the prior, planes of round 1."""
    steps_per_plane: int = 3
    """Hypotheses to one plane of round 1; finer is slower."""
    small_step: int = 20
    """Cost of a change by one hypothesis between neighbours."""
    large_step: int = 300
    """Cost of any larger change on flat colour."""
    guide_scale: float = 8.0
    """Grey levels of an edge that halve `large_step`."""
    min_distinct: float = 0.15
    """Least share of distinct matches around a pixel for its depth to be trusted; below it texture
    is weak, and the pixel takes part in the planes around it. More makes more planes."""
    prior_cost: float = 30.0
    """Matching cost, of 255, that is added `reach_planes` away from the prior where texture says
    nothing; more follows planes, less the images."""
    plane_tolerance: float = 0.3
    """Distance up to which depth lies on one plane, planes of round 1; more joins more."""
    same_planes: float = 0.25
    """Proposals nearer than this are one, planes of round 1; more is faster and coarser."""
    backend: SweepBackend = "cpu"
    """What computes matching costs, as in round 1."""
    propagation: PropagationConfig = field(default_factory=PropagationConfig)

    def __post_init__(self) -> None:
        _check_window(self.window_px)


@dataclass(frozen=True)
class ConsistencyConfig:
    """What makes two views agree on a point, by degrees."""

    depth_tolerance: float = 0.01
    """Relative difference of depth at which a partner's voice falls to 61% (one sigma)."""
    reprojection_tolerance_px: float = 1.5
    """Distance after going to the partner and back at which its voice falls likewise."""
    min_support: float = 0.5
    """Least sum of voices, each 0 to 1; more is cleaner and less complete."""
    contradiction_weight: float = 0.5
    """Voices that it takes to outweigh a view that sees through a point; more is cleaner."""
    keep_unconfirmed: bool = True
    """Keep depth that no view confirms and few contradict in the final maps, at its low confidence;
    surfaces are made without it."""
    doubt_weight: float = 0.3
    """Voices that it takes to outweigh a view that sees through such depth."""
    max_slant_deg: float = 85.0
    """Steepest angle between the surface normal and the ray; steeper is an edge, not a surface."""

    def __post_init__(self) -> None:
        for name in ("depth_tolerance", "reprojection_tolerance_px", "min_support"):
            value = float(getattr(self, name))
            if not value > 0:
                raise ConfigError(f"{name} must be above 0, got {value}", field=name)


def _check_window(window_px: int) -> None:
    if window_px < 3 or window_px % 2 == 0:
        raise ConfigError(
            f"window_px must be odd and at least 3, got {window_px}", field="window_px"
        )
