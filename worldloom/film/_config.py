"""Settings of a film."""

from dataclasses import dataclass
from typing import Literal, get_args

from worldloom.errors import ConfigError

Preset = Literal["orbit", "fly-through"]
FilmSource = Literal["auto", "mesh", "splats"]
PATH_SIZE = 0
"""Sides that are taken from the cameras of the path."""


@dataclass(frozen=True)
class FilmConfig:
    """What a film of a scene is made of."""

    source: FilmSource = "auto"
    """What is filmed: the splats or the mesh; auto: the splats where there are some."""
    width_px: int = PATH_SIZE
    """Width of the picture; 0: that of the cameras. Videos need even sides; odd ones lose a
    column."""
    height_px: int = PATH_SIZE
    """Height of the picture; 0: that of the cameras. A shape that is not theirs shows more, or
    less, at the left and right."""
    fps: float = 24.0
    """Frames a second."""
    seconds: float | None = None
    """Length; None: of a preset 8, of a trajectory a frame for each of its cameras."""
    samples: int = 2
    """Rays a pixel each way, for the mesh; more is smoother and slower by its square."""
    crf: int = 17
    """Quality of the video as x264 counts it, 0 to 51; less is better and larger."""

    def __post_init__(self) -> None:
        if self.source not in get_args(FilmSource):
            raise ConfigError(
                f"source is {self.source!r}; give auto, mesh or splats", field="source"
            )
        for name in ("width_px", "height_px"):
            value: int = getattr(self, name)
            if value < 0 or value == 1 or value > 8192:
                raise ConfigError(
                    f"{name} is {value}; give 2 to 8192, or 0 for that of the cameras", field=name
                )
        if not 0 < self.fps <= 240:
            raise ConfigError(f"fps is {self.fps}; give above 0 to 240", field="fps")
        if self.seconds is not None and not 0 < self.seconds <= 3600:
            raise ConfigError(f"seconds is {self.seconds}; give above 0 to 3600", field="seconds")
        if not 1 <= self.samples <= 8:
            raise ConfigError(f"samples is {self.samples}; give 1 to 8", field="samples")
        if not 0 <= self.crf <= 51:
            raise ConfigError(f"crf is {self.crf}; give 0 to 51", field="crf")
