"""Settings of Gaussian splats."""

from dataclasses import dataclass
from typing import Literal

from worldloom.errors import ConfigError

SplatBackend = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class SplatConfig:
    """How Gaussians are seeded and trained."""

    steps: int = 1500
    """Steps of training, one view each; more is sharper, until the views are learned by heart."""
    backend: SplatBackend = "auto"
    """What rasterises: cpu is ours, cuda is gsplat, auto takes cuda where there is a device."""
    sh_degree: int = 2
    """Degree of the spherical harmonics, 0 to 3; more shows more gloss, and can invent it."""
    sh_interval: int = 400
    """Steps between two degrees; the first steps know degree 0 alone."""
    seed_spacing_px: float = 2.0
    """Spacing of the seeds in footprints of a depth pixel; less is finer, slower by its square."""
    max_gaussians: int = 1_000_000
    """Bound on the Gaussians of a chunk, and on those that are seen around it."""
    growth: float = 0.1
    """Gaussians that may be added where the images ask for them, as a share of the seeds."""
    ssim_weight: float = 0.2
    """Share of structural similarity in the loss, 0 to 1; the rest is absolute difference."""
    depth_weight: float = 0.3
    """Weight of the depth of the views, relative to it; more keeps to the depth maps."""
    distortion_weight: float = 0.0
    """Weight of the spread of the Gaussians along each ray, relative to depth squared."""
    normal_weight: float = 0.03
    """Weight with which Gaussians are held to the normals that they were seeded with."""
    opacity_weight: float = 0.002
    """Weight of the mean opacity: what no view needs fades; more removes more floaters."""
    scale_weight: float = 0.002
    """Weight of the mean size, in spacings of the seeds: nothing grows without need."""
    exposure: bool = True
    """Learn the gain that each view has left over; their mean over the views is none."""
    validation_views: int = 4
    """Views that training does not see and that choose the best of its states; taken where there
    are ten times as many views. Views of `--holdout` are no part of this."""
    validation_interval: int = 250
    """Steps between two looks at them."""
    patience: int = 4
    """Looks without a better state after which training stops."""
    checkpoint_interval: int = 500
    """Steps between two checkpoints; less loses less when a worker dies, and writes more."""
    halo_blocks: int = 2
    """Blocks around a chunk whose Gaussians are trained along with it in the first round, and left
    to its neighbour then."""
    rounds: int = 4
    """Rounds that the steps are done in where there are several chunks; after each, a chunk sees
    what the others have become. More joins them better, and makes them wait for each other."""
    seed: int = 0
    """Of all that is drawn: the order of the views, where Gaussians are added."""

    def __post_init__(self) -> None:
        for name in (
            *("steps", "sh_interval", "max_gaussians", "validation_interval", "patience"),
            "rounds",
        ):
            if getattr(self, name) < 1:
                raise ConfigError(
                    f"{name} must be at least 1, got {getattr(self, name)}", field=name
                )
        for name in (
            *("growth", "depth_weight", "distortion_weight"),
            *("normal_weight", "opacity_weight", "scale_weight"),
        ):
            if not getattr(self, name) >= 0:
                raise ConfigError(
                    f"{name} must not be negative, got {getattr(self, name)}", field=name
                )
        if not 0 <= self.sh_degree <= 3:
            raise ConfigError(f"sh_degree must be 0 to 3, got {self.sh_degree}", field="sh_degree")
        if not 0 <= self.ssim_weight <= 1:
            raise ConfigError(
                f"ssim_weight must be 0 to 1, got {self.ssim_weight}", field="ssim_weight"
            )
        if not self.seed_spacing_px > 0:
            raise ConfigError(
                f"seed_spacing_px must be above 0, got {self.seed_spacing_px}",
                field="seed_spacing_px",
            )
        if self.validation_views < 0 or self.halo_blocks < 0 or self.checkpoint_interval < 1:
            raise ConfigError(
                "validation_views and halo_blocks must not be negative, checkpoint_interval must "
                "be at least 1",
                field="checkpoint_interval",
            )
