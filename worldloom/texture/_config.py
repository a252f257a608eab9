"""Settings of the textures."""

from dataclasses import dataclass
from typing import Literal

from worldloom.errors import ConfigError

Levelling = Literal["none", "global", "full"]
LEVELLINGS: tuple[Levelling, ...] = ("none", "global", "full")
_FEW_FACES = 20_000
SMALLEST_PAGE_PX, LARGEST_PAGE_PX = 64, 8192


@dataclass(frozen=True)
class TextureConfig:
    """How textures are made: a light mesh, its UV set, and the maps on it."""

    textures: bool = True
    """Make textures; off saves their time, and the scene has vertex colours alone."""
    texture_resolution: int = 4096
    """Greatest side of a page, texels, 64 to 8192. Pages are smaller, by powers of two, where the
    views resolve no more."""
    max_texture_pages: int = 4
    """Most pages (UDIM tiles); where what the views resolve needs more, texels get larger."""
    max_texture_faces: int = 200_000
    """Faces of the light mesh; more follows the surface closer, fewer is faster to show."""
    texture_face_share: float = 0.2
    """Faces of the light mesh over those of the surface, at most; the textures hold what is finer.
    Surfaces of up to 20000 faces are kept as they are."""
    texels_per_pixel: float = 1.25
    """Texels along a pixel of the view that sees a place best; more keeps more of it when it is
    sampled twice, for memory by its square."""
    seam_smoothness: float = 2.0
    """Cost of a seam between two views against that of a worse view; more makes larger patches."""
    levelling: Levelling = "full"
    """Seams: none leaves them; global shifts the colours of whole patches; full also blends the
    views around a seam."""
    seam_rings: int = 2
    """Rings of faces, besides those at a seam, over which full levelling lets views pass into each
    other; more hides seams better, and shows twice what the views do not agree on."""
    texture_padding_px: int = 3
    """Texels around each chart that belong to it, so that filters do not mix charts."""

    def faces_of(self, surface_faces: int) -> int:
        """Returns the greatest number of faces of the light mesh of a surface."""
        share = max(round(self.texture_face_share * surface_faces), _FEW_FACES)
        return min(self.max_texture_faces, share)

    def __post_init__(self) -> None:
        if not SMALLEST_PAGE_PX <= self.texture_resolution <= LARGEST_PAGE_PX:
            raise ConfigError(
                f"texture_resolution must be {SMALLEST_PAGE_PX} to {LARGEST_PAGE_PX} texels, got "
                f"{self.texture_resolution}; for more texels allow more max_texture_pages",
                field="texture_resolution",
            )
        if not 1 <= self.max_texture_pages <= 100:
            raise ConfigError(
                f"max_texture_pages must be 1 to 100, got {self.max_texture_pages}",
                field="max_texture_pages",
            )
        if self.max_texture_faces < 4:
            raise ConfigError(
                f"max_texture_faces must be at least 4, got {self.max_texture_faces}",
                field="max_texture_faces",
            )
        if not 0 < self.texture_face_share <= 1:
            raise ConfigError(
                f"texture_face_share must be above 0 and at most 1, got {self.texture_face_share}",
                field="texture_face_share",
            )
        if not 0.1 <= self.texels_per_pixel <= 4:
            raise ConfigError(
                f"texels_per_pixel must be 0.1 to 4, got {self.texels_per_pixel}",
                field="texels_per_pixel",
            )
        if not 0 <= self.seam_smoothness <= 100:
            raise ConfigError(
                f"seam_smoothness must be 0 to 100, got {self.seam_smoothness}",
                field="seam_smoothness",
            )
        if not 0 <= self.seam_rings <= 16:
            raise ConfigError(
                f"seam_rings must be 0 to 16, got {self.seam_rings}", field="seam_rings"
            )
        if self.levelling not in LEVELLINGS:
            raise ConfigError(
                f"levelling must be none, global or full, got {self.levelling!r}",
                field="levelling",
            )
        if not 1 <= self.texture_padding_px <= 16:
            raise ConfigError(
                f"texture_padding_px must be 1 to 16, got {self.texture_padding_px}",
                field="texture_padding_px",
            )
