"""What ingest reads: a video or images, joined with their cameras."""

from dataclasses import dataclass

from worldloom.cameras import CameraTrajectory
from worldloom.ingest._pictures import Picture
from worldloom.ingest._video import Video


@dataclass(frozen=True, eq=False)
class Source:
    """One trajectory of a scene: validated, not decoded."""

    name: str
    """Readable name, unique in the scene and the same in every run."""
    media: Video | tuple[Picture, ...]
    """A video, or one image a camera."""
    trajectory: CameraTrajectory
    """Cameras at the size of the images, still with the distortion of the lens."""
    mask: Video | None = None
    """Video in which white stands for no data; as long and as large as the video."""

    def __len__(self) -> int:
        return len(self.trajectory)
