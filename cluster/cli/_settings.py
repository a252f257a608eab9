"""The settings of a reconstruction as flags."""

from dataclasses import dataclass, field, replace
from typing import Annotated

import tyro

from worldloom.config import Density, Method, ReconstructionConfig
from worldloom.depth import ConsistencyConfig, RefineConfig, SweepConfig
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


@dataclass(frozen=True)
class Settings:
    """Flags of `ReconstructionConfig`, under the names that the command line uses."""

    method: Method = "mvs"
    """How chunks are reconstructed; mvs: multi-view stereo, fused to a surface; splat: Gaussians
    trained on top of it, and the surface from them; hybrid: Gaussians seeded on the surface, which
    is then refined by them; neural: a distance field with colours that starts from the surface and
    is fitted to the images."""
    resolution: int = 640
    """Longer image side used for depth, pixels; images are never enlarged. More is finer, and
    slower by its square."""
    density: Density = "medium"
    """Spacing of the point cloud: low 4, medium 2, high 1 pixel footprints at median depth."""
    depth_refinement: bool = True
    """Refine depth at full resolution with the geometric memories; without is faster, coarser."""
    refine_poses: bool = False
    """Correct poses within bounds where features of several views say that they are off; place,
    orientation and scale of the whole stay as given."""
    holdout: int = 0
    """Keep every n-th view out of everything and score it at the end; 0 keeps none."""
    voxel_m: float | None = None
    """Side of a voxel, world unit; None: 1.25 footprints of a depth pixel at median depth."""
    sweep_share: float = 0.5
    """Size of the first round of depth as a share of the resolution."""
    min_sweep_px: int = 256
    """Longer image side of the first round is not reduced below this."""
    max_views_per_chunk: int | None = None
    """Views on the surface of one chunk; fewer means smaller chunks. None: no bound."""
    chunk_size_m: float | None = None
    """Side of the boxes that no chunk reaches beyond, world unit. None: no bound."""
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
    # Without a prefix: --textures, --texture-resolution.
    texture: Annotated[TextureConfig, tyro.conf.arg(name="")] = field(default_factory=TextureConfig)
    # Without a prefix: --depth-model, not --learned.depth-model.
    learned: Annotated[LearnedConfig, tyro.conf.arg(name="")] = field(default_factory=LearnedConfig)

    def config(self) -> ReconstructionConfig:
        """Returns the settings as the API takes them.

        Raises:
            ConfigError: they cannot work.
        """
        return ReconstructionConfig(
            method=self.method,
            resolution=self.resolution,
            depth_estimation=self.depth_refinement,
            refine_poses=self.refine_poses,
            point_cloud_density=self.density,
            voxel_m=self.voxel_m,
            sweep_share=self.sweep_share,
            min_sweep_px=self.min_sweep_px,
            holdout=self.holdout,
            plan=self.plan,
            poses=self.poses,
            sweep=self.sweep,
            refine=self.refine,
            consistency=self.consistency,
            memory=self.memory,
            exposure=self.exposure,
            surface=self._surface(),
            merge=self.merge,
            splat=self.splat,
            neural=self.neural,
            texture=self.texture,
            learned=self.learned,
        )

    def _surface(self) -> SurfaceConfig:
        """The settings of the surface, with the bounds of chunks that have flags of their own."""
        return replace(
            self.surface,
            max_views_per_chunk=self.max_views_per_chunk or self.surface.max_views_per_chunk,
            chunk_size_m=self.chunk_size_m or self.surface.chunk_size_m,
        )
