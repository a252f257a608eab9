"""The unwrapped mesh and its textures in a scene folder, without loss."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from worldloom.errors import ExportError, InputError
from worldloom.export._files import write_atomically
from worldloom.export._pages import FIRST_TILE, png
from worldloom.scene import Mesh, ReconstructedScene, Texture, TextureKind, UnwrappedMesh

UNWRAPPED_FILE = "unwrapped.npz"
KINDS: tuple[TextureKind, ...] = get_args(TextureKind)


def save_baked(scene: ReconstructedScene, folder: Path) -> dict[str, str]:
    """Writes `unwrapped.npz` and a PNG a texture and page, `texture_albedo.1001.png`.

    Which texels belong to faces stands in the npz, one bit each.

    Args:
        scene: The scene; one without unwrapped mesh writes nothing.
        folder: Where to write.

    Returns:
        The kind of each file, by name.

    Raises:
        ExportError: there are textures but nothing that they lie on, or a file cannot be written.
    """
    unwrapped = scene.unwrapped
    if unwrapped is None:
        if scene.textures:
            raise ExportError("the scene has textures but no unwrapped mesh; give both, or none")
        return {}
    arrays: dict[str, Any] = {
        "vertices_in_world": unwrapped.mesh.vertices_in_world,
        "faces": unwrapped.mesh.faces,
        "uv": unwrapped.uv,
        "page": unwrapped.page,
    }
    if unwrapped.mesh.colors is not None:
        arrays["colors"] = unwrapped.mesh.colors
    if unwrapped.mesh.normals_in_world is not None:
        arrays["normals_in_world"] = unwrapped.mesh.normals_in_world
    kinds = {UNWRAPPED_FILE: "unwrapped"}
    for kind, texture in sorted(scene.textures.items()):
        for number, (page, covered) in enumerate(zip(texture.pages, texture.covered, strict=True)):
            name = _image_name(kind, number)
            write_atomically(folder / name, png(page))
            kinds[name] = "texture"
            arrays[_mask_name(kind, number)] = np.packbits(covered, axis=1)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_atomically(folder / UNWRAPPED_FILE, buffer.getvalue())
    return kinds


def load_baked(
    folder: Path, names: set[str]
) -> tuple[UnwrappedMesh | None, dict[TextureKind, Texture]]:
    """Reads back what `save_baked` wrote.

    Args:
        folder: The scene folder.
        names: Its files, as the manifest lists them.

    Returns:
        The unwrapped mesh and the textures by kind; None and nothing where the scene has none.

    Raises:
        InputError: a file is missing or damaged.
    """
    if UNWRAPPED_FILE not in names:
        return None, {}
    path = folder / UNWRAPPED_FILE
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            unwrapped = UnwrappedMesh(
                Mesh(
                    arrays["vertices_in_world"],
                    arrays["faces"],
                    arrays.get("colors"),
                    arrays.get("normals_in_world"),
                ),
                arrays["uv"],
                arrays["page"],
            )
            textures: dict[TextureKind, Texture] = {}
            for kind in KINDS:
                if pages := list(_page_numbers(kind, names)):
                    textures[kind] = _texture(folder, kind, pages, arrays)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(
            f"cannot read {path}: {error}; export the scene again", path=str(path)
        ) from error
    return unwrapped, textures


def _page_numbers(kind: TextureKind, names: set[str]) -> Iterator[int]:
    number = 0
    while _image_name(kind, number) in names:
        yield number
        number += 1


def _texture(folder: Path, kind: TextureKind, pages: list[int], arrays: Any) -> Texture:
    images = tuple(_image(folder / _image_name(kind, number)) for number in pages)
    covered = tuple(
        _mask(arrays[_mask_name(kind, number)], image)
        for number, image in zip(pages, images, strict=True)
    )
    return Texture(kind, images, covered)


def _image(path: Path) -> UInt8[np.ndarray, "h w c"]:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise InputError(f"{path} is missing or no image; export the scene again", path=str(path))
    if image.ndim == 2:
        return image[..., None]
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _mask(
    packed: UInt8[np.ndarray, "h _"], image: UInt8[np.ndarray, "h w c"]
) -> Bool[np.ndarray, "h w"]:
    height, width = image.shape[:2]
    if packed.shape != (height, -(-width // 8)):
        raise ValueError(f"a mask of {packed.shape} bytes for an image of {width}x{height}")
    return np.unpackbits(packed, axis=1, count=width).astype(bool)


def _image_name(kind: TextureKind, number: int) -> str:
    return f"texture_{kind}.{FIRST_TILE + number}.png"


def _mask_name(kind: TextureKind, number: int) -> str:
    return f"covered_{kind}_{number}"
