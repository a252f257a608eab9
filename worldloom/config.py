"""The settings of a reconstruction."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from worldloom.depth import ConsistencyConfig, RefineConfig, SweepConfig
from worldloom.errors import ConfigError
from worldloom.exposure import ExposureConfig
from worldloom.learned import LearnedConfig
from worldloom.memory import MemoryConfig
from worldloom.merge import AlignmentConfig
from worldloom.neural import NeuralConfig
from worldloom.plan import PlanConfig
from worldloom.poses import PoseConfig
from worldloom.splat import SplatConfig
from worldloom.surface import SurfaceConfig
from worldloom.texture import TextureConfig

Method = Literal["mvs", "splat", "hybrid", "neural"]
Density = Literal["low", "medium", "high"]

CLOUD_SPACING_PX: dict[Density, float] = {"low": 4.0, "medium": 2.0, "high": 1.0}
"""Spacing of the point cloud in footprints of a depth pixel at the median depth."""

VOXEL_PX = 1.25
"""Side of a voxel in footprints of a depth pixel at the median depth: finer makes more faces and no
better surface, for depth has the resolution of its windows and not of its pixels."""


@dataclass(frozen=True)
class ReconstructionConfig:
    """What to make of the views; with the input and nothing else it decides the result."""

    method: Method = "mvs"
    """How chunks are reconstructed; mvs: multi-view stereo, fused to a surface; splat: Gaussians
    trained on top of it, and the surface from them; hybrid: Gaussians seeded on the surface, which
    is then refined by them; neural: a distance field with colours that starts from the surface and
    is fitted to the images."""
    resolution: int = 640
    """Longer image side used for depth, pixels; images are never enlarged. More is finer, and
    slower by its square."""
    depth_estimation: bool = True
    """Refine depth at full resolution with the geometric memories; off is faster and coarser."""
    refine_poses: bool = False
    """Correct poses within the bounds of `poses` where features of several views say that they are
    off; place, orientation and scale of the whole stay as given."""
    point_cloud_density: Density = "medium"
    """Spacing of the point cloud: low 4, medium 2, high 1 pixel footprints at median depth."""
    voxel_m: float | None = None
    """Side of a voxel, world unit; unset: 1.25 footprints of a depth pixel at median depth."""
    sweep_share: float = 0.5
    """Size of round 1 as a share of `resolution`, where round 2 follows."""
    min_sweep_px: int = 256
    """Longer image side of round 1 is not reduced below this."""
    holdout: int = 0
    """Keep every n-th view out of everything and score it at the end; 0 keeps none."""
    plan: PlanConfig = field(default_factory=PlanConfig)
    poses: PoseConfig = field(default_factory=PoseConfig)
    sweep: SweepConfig = field(default_factory=SweepConfig)
    refine: RefineConfig = field(default_factory=RefineConfig)
    consistency: ConsistencyConfig = field(default_factory=ConsistencyConfig)
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    exposure: ExposureConfig = field(default_factory=ExposureConfig)
    surface: SurfaceConfig = field(default_factory=SurfaceConfig)
    merge: AlignmentConfig = field(default_factory=AlignmentConfig)
    splat: SplatConfig = field(default_factory=SplatConfig)
    neural: NeuralConfig = field(default_factory=NeuralConfig)
    texture: TextureConfig = field(default_factory=TextureConfig)
    learned: LearnedConfig = field(default_factory=LearnedConfig)

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise ConfigError(
                f"method must be one of {', '.join(get_args(Method))}, got {self.method!r}",
                field="method",
            )
        if self.resolution < 64:
            raise ConfigError(
                f"resolution must be at least 64 pixels, got {self.resolution}", field="resolution"
            )
        if self.point_cloud_density not in CLOUD_SPACING_PX:
            raise ConfigError(
                f"point_cloud_density must be low, medium or high, got "
                f"{self.point_cloud_density!r}",
                field="point_cloud_density",
            )
        if self.voxel_m is not None and not self.voxel_m > 0:
            raise ConfigError(f"voxel_m must be above 0, got {self.voxel_m}", field="voxel_m")
        if not 0 < self.sweep_share <= 1:
            raise ConfigError(
                f"sweep_share must be above 0 and at most 1, got {self.sweep_share}",
                field="sweep_share",
            )
        if self.learned.depth_model is not None and not self.depth_estimation:
            raise ConfigError(
                "a depth model takes part in the refinement of depth, which is off; leave the "
                "model out, or the refinement on",
                field="depth_estimation",
            )
        if self.holdout < 0 or self.holdout == 1:
            raise ConfigError(
                f"holdout must be 0 (none) or at least 2, got {self.holdout}; 1 would keep every "
                "view out",
                field="holdout",
            )
