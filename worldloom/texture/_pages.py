"""The stage that makes whole pages of the texels of all parts, and the reading of pages."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Int64, UInt8

from worldloom.bench import Bench
from worldloom.errors import StoreError
from worldloom.scene import Texture, TextureKind
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey
from worldloom.texture._bake import BakedPart, load_baked

KINDS: tuple[TextureKind, ...] = ("albedo", "normal", "roughness")
COVERED = "covered"
_SPREAD_PX = 32.0
"""Distance over which charts are spread into what is empty: that of the fifth mip map."""
_FLAT = {"albedo": (128, 128, 128), "normal": (128, 128, 255), "roughness": (230,)}
"""Of a page that nothing lies on."""


@dataclass(frozen=True)
class PageWork:
    """The parts that have texels on a page."""

    page: int
    side_px: int
    parts: tuple[BakedPart, ...]
    """In order."""

    @property
    def subject(self) -> str:
        """For people."""
        return f"page {self.page}"


@dataclass(frozen=True)
class BakedPage:
    """The maps of one page."""

    page: int
    artifact: ArtifactKey
    """Artifact with `albedo.png`, `normal.png`, `roughness.png` and `covered.png` (255 = yes)."""
    covered_px: int
    """Texels that belong to a face."""


def _assemble(bench: Bench, key: ArtifactKey, work: PageWork) -> BakedPage:
    shape = (work.side_px, work.side_px)
    maps = {kind: np.zeros((*shape, len(_FLAT[kind])), np.uint8) for kind in KINDS}
    covered, filled = np.zeros(shape, bool), np.zeros(shape, bool)
    for part in work.parts:
        baked = load_baked(bench, part)
        here = baked.page == work.page
        at = baked.row[here], baked.column[here]
        maps["albedo"][at] = baked.albedo[here]
        maps["normal"][at] = baked.normal[here]
        maps["roughness"][at] = baked.roughness[here][:, None]
        covered[at] = baked.inside[here]
        filled[at] = True
    source = nearest_filled(filled)
    for kind in KINDS:
        write_page(bench, key, kind, spread(maps[kind], source, _plain(kind, maps[kind], filled)))
    write_page(bench, key, COVERED, covered[..., None].astype(np.uint8) * np.uint8(255))
    return BakedPage(work.page, key, int(covered.sum()))


def _plain(
    kind: TextureKind, values: UInt8[np.ndarray, "h w c"], filled: Bool[np.ndarray, "h w"]
) -> np.ndarray:
    """What stands far from all charts: the mean colour, so that small mip maps stay true."""
    if kind != "albedo" or not filled.any():
        return np.array(_FLAT[kind], np.uint8)
    return np.rint(values[filled].mean(axis=0)).astype(np.uint8)


def nearest_filled(filled: Bool[np.ndarray, "h w"]) -> Int64[np.ndarray, "h w"]:
    """Returns the flat index of the nearest texel that is filled; -1 where it is far away."""
    if not filled.any():
        return np.full(filled.shape, -1)
    distance, label = cv2.distanceTransformWithLabels(
        (~filled).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    label = np.asarray(label, np.int64)
    index_of_label = np.zeros(int(label.max()) + 1, np.int64)
    places = np.flatnonzero(filled)
    index_of_label[label.ravel()[places]] = places
    return np.where(distance <= _SPREAD_PX, index_of_label[label], -1)


def spread(values: np.ndarray, source: Int64[np.ndarray, "h w"], plain: np.ndarray) -> np.ndarray:
    """Fills each texel from its source, so that neither filters nor mip maps see an edge."""
    filled = values.reshape(-1, values.shape[2])[source]
    filled[source < 0] = plain
    return filled


def write_page(
    bench: Bench, key: ArtifactKey, name: str, image: UInt8[np.ndarray, "h w c"]
) -> None:
    """Writes an image of an artifact as PNG."""
    stored = image if image.shape[2] == 1 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".png", stored, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    assert done  # PNG takes any image of 8 bits
    bench.store.write(key, f"{name}.png", data.tobytes())


def read_page(bench: Bench, key: ArtifactKey, name: str) -> UInt8[np.ndarray, "h w c"]:
    """Reads an image of an artifact.

    Raises:
        StoreError: it is missing or damaged.
    """
    data = np.frombuffer(bench.store.read(key, f"{name}.png"), np.uint8)
    colored = name not in ("roughness", COVERED)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB if colored else cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise StoreError(
            f"{name}.png of {key} is damaged; delete that folder and run again", key=key
        )
    return image if colored else image[..., None]


def load_textures(bench: Bench, pages: tuple[BakedPage, ...]) -> dict[TextureKind, Texture]:
    """Returns the maps of all pages, by kind."""
    covered = tuple(read_page(bench, page.artifact, COVERED)[..., 0] > 0 for page in pages)
    return {
        kind: Texture(kind, tuple(read_page(bench, page.artifact, kind) for page in pages), covered)
        for kind in KINDS
    }


ASSEMBLE = Stage("texture-page", 1, Role.MERGER, BakedPage, _assemble)
"""Makes the maps of one page."""
