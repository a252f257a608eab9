"""Where in a file something stands, so that every complaint names it."""

from dataclasses import dataclass, replace
from pathlib import Path

from worldloom.errors import TrajectoryError


@dataclass(frozen=True)
class Origin:
    """A file, or the name of a trajectory made in memory, and a frame in it."""

    path: str | Path
    """The file, or the name of the trajectory."""
    frame: str | int | None = None
    """Name or number of the frame; None for the file as a whole."""

    def at(self, frame: str | int) -> "Origin":
        """Returns the origin of one frame in the same file."""
        return replace(self, frame=frame)

    def error(self, message: str) -> TrajectoryError:
        """Returns an error that names the file and the frame.

        Args:
            message: What is wrong and what to change.
        """
        where = f"{self.path}" if self.frame is None else f"{self.path}, frame {self.frame}"
        return TrajectoryError(f"{where}: {message}", path=str(self.path), frame=self.frame)
