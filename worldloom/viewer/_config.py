"""Budgets of the viewer: what a browser can take."""

from dataclasses import dataclass

from worldloom.errors import ConfigError


@dataclass(frozen=True)
class ViewerConfig:
    """How much of a scene goes to the browser."""

    max_faces: int = 600_000
    """Faces of the mesh shown; larger meshes are decimated. More is finer, about 30 bytes each."""
    max_points: int = 1_000_000
    """Points of the cloud shown, drawn evenly; 15 bytes each."""
    max_splats: int = 500_000
    """Gaussians shown, the most opaque ones."""
    max_images: int = 150
    """Cameras that carry their image, evenly spread; the others are bare frusta."""
    image_px: int = 192
    """Longer side of an image in a frustum, pixels."""
    depth_points: int = 60_000
    """Points of the depth map of one view."""
    live_points: int = 5_000
    """Points of each view that a running job adds."""
    poll_s: float = 2.0
    """Seconds between two looks at the store of a running job."""
    poll_artifacts: int = 12
    """Artifacts read in one look, so that a look at a full store does not take long."""

    def __post_init__(self) -> None:
        for name in ("max_faces", "max_points", "max_splats", "depth_points", "live_points"):
            if getattr(self, name) < 4:
                raise ConfigError(f"{name} is {getattr(self, name)}; give at least 4", field=name)
        if self.max_images < 0 or self.image_px < 8:
            raise ConfigError(
                f"max_images is {self.max_images} and image_px {self.image_px}; give at least 0 "
                "and 8",
                field="max_images",
            )
        if self.poll_s <= 0 or self.poll_artifacts < 1:
            raise ConfigError(
                f"poll_s is {self.poll_s} and poll_artifacts {self.poll_artifacts}; give more than "
                "0 and at least 1",
                field="poll_s",
            )
