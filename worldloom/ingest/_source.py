"""What ingest reads: a video, images or a panorama, joined with their cameras."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from worldloom.cameras import CameraTrajectory
from worldloom.ingest._pictures import Picture
from worldloom.ingest._video import Video


@dataclass(frozen=True, eq=False)
class Panorama:
    """An equirectangular picture; the cameras of its source are the views that it is cut into."""

    picture: Picture
    world_from_pano: Float64[np.ndarray, "4 4"]
    """Pose of its frame: OpenCV axes, the middle column looks along +z."""


@dataclass(frozen=True, eq=False)
class Source:
    """One trajectory of a scene: validated, not decoded."""

    name: str
    """Readable name, unique in the scene and the same in every run."""
    media: Video | Panorama | tuple[Picture, ...]
    """A video, a panorama, or one image a camera."""
    trajectory: CameraTrajectory
    """Cameras at the size of the images, still with the distortion of the lens."""
    mask: Video | None = None
    """Video in which white stands for no data; as long and as large as the video."""

    def __len__(self) -> int:
        return len(self.trajectory)
