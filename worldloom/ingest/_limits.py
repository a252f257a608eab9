"""Caps on input, checked from headers before anything is decoded."""

from dataclasses import dataclass, fields
from pathlib import Path

from worldloom.errors import ConfigError, InputError, LimitError


@dataclass(frozen=True)
class IngestLimits:
    """Caps on what ingest accepts; an input above one is a `LimitError`, never a full disk."""

    max_pixels: int = 64_000_000
    """Pixels a frame; bounds the memory of one decoded image (3 bytes a pixel)."""
    max_frames: int = 20_000
    """Frames of one source."""
    max_file_mib: int = 32_768
    """Size of one video, MiB."""
    max_image_mib: int = 512
    """Size of one image file, MiB; image files are read whole."""
    max_duration_s: float = 14_400.0
    """Length of one video that its header announces, seconds."""
    max_sources: int = 1_000
    """Trajectories of one scene."""
    max_entries: int = 500_000
    """Files and folders that are looked at in search of a scene."""

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not value > 0:
                raise ConfigError(f"{item.name} must be positive, got {value}", field=item.name)

    def check_video_file(self, path: Path) -> None:
        """Checks that a video is a file with content and below the cap.

        Raises:
            InputError: it is empty or cannot be read.
            LimitError: it is above the cap.
        """
        self._check_file(path, self.max_file_mib, "max_file_mib")

    def check_image_file(self, path: Path) -> None:
        """Checks that an image is a file with content and below the cap.

        Raises:
            InputError: it is empty or cannot be read.
            LimitError: it is above the cap.
        """
        self._check_file(path, self.max_image_mib, "max_image_mib")

    def check_size(self, path: Path, width_px: int, height_px: int) -> None:
        """Checks the pixels of a frame.

        Raises:
            LimitError: it has too many.
        """
        if width_px * height_px > self.max_pixels:
            raise _above(
                path, f"a frame of {width_px}x{height_px}", width_px * height_px, self, "max_pixels"
            )

    def check_frames(self, path: Path, frames: int) -> None:
        """Checks the number of frames of a source.

        Raises:
            LimitError: it has too many.
        """
        if frames > self.max_frames:
            raise _above(path, f"{frames} frames", frames, self, "max_frames")

    def check_duration(self, path: Path, duration_s: float) -> None:
        """Checks the length of a video.

        Raises:
            LimitError: it is too long.
        """
        if duration_s > self.max_duration_s:
            raise _above(path, f"{duration_s:.1f} s of video", duration_s, self, "max_duration_s")

    def _check_file(self, path: Path, limit_mib: int, field: str) -> None:
        try:
            size_bytes = path.stat().st_size
            with path.open("rb"):
                pass
        except OSError as error:
            raise InputError(
                f"{path} cannot be read: {error.strerror}; check the path and its permissions",
                path=str(path),
            ) from error
        if size_bytes == 0:
            raise InputError(
                f"{path} is empty (0 bytes); copy or make the file again", path=str(path)
            )
        if size_bytes > limit_mib * 2**20:
            raise _above(path, f"a file of {size_bytes} bytes", size_bytes / 2**20, self, field)


def _above(
    path: Path, what: str, value: int | float, limits: IngestLimits, field: str
) -> LimitError:
    limit = getattr(limits, field)
    return LimitError(
        f"{path}: {what} is above the cap {field}={limit}; "
        f"make the input smaller or raise {field} of the ingest limits",
        path=str(path),
        value=value,
        limit=limit,
    )
