"""Budgets of a report: what keeps the page small enough to be mailed and opened on a phone."""

from dataclasses import dataclass

from worldloom.errors import ConfigError


@dataclass(frozen=True)
class ReportConfig:
    """How much of a scene a report holds."""

    max_faces: int = 150_000
    """Faces of the interactive mesh with vertex colours; more is finer, about 10 bytes each."""
    max_textured_faces: int = 250_000
    """A textured mesh of more faces is shown with vertex colours, decimated: it cannot be decimated
    itself without tearing its charts."""
    max_texture_px: int = 2048
    """Longer side of a texture page in the report, pixels; half of that for more than two pages."""
    max_points: int = 60_000
    """Points of the cloud in the report; 0 leaves it out."""
    max_pictured_views: int = 120
    """Views with pictures in the table, evenly spread; the others are listed without."""
    turntable_frames: int = 24
    """Pictures round the scene; 0 leaves the turntable out."""
    turntable_px: int = 400
    """Width of a picture of the turntable, pixels."""

    def __post_init__(self) -> None:
        least = {
            "max_faces": 4,
            "max_textured_faces": 0,
            "max_texture_px": 16,
            "max_points": 0,
            "max_pictured_views": 0,
            "turntable_frames": 0,
            "turntable_px": 16,
        }
        for name, low in least.items():
            value = getattr(self, name)
            if value < low:
                raise ConfigError(f"{name} is {value}; give at least {low}", field=name)
