"""What a surface looks like as numbers: places on it, and the colour that is seen there.

Made from a scene and from what a foreign reader made of its export, the two must be the same:
geometry, axes, texture coordinates and the pictures themselves are compared at once.
"""

import numpy as np

from worldloom.scene import ReconstructedScene

WEIGHTS = np.array([(0.6, 0.2, 0.2), (0.2, 0.6, 0.2), (0.2, 0.2, 0.6)])
"""Three places on each triangle, as weights of its corners."""


def painted(
    corners: np.ndarray, uv: np.ndarray, images: list[np.ndarray], image_of_face: np.ndarray
) -> np.ndarray:
    """Returns x y z r g b (0 to 1) of three places on each textured triangle.

    Args:
        corners: Corners of the triangles, `f 3 3`.
        uv: Their texture coordinates from the bottom left, `f 3 2`.
        images: RGB, uint8, top row first.
        image_of_face: Which of them lies on each triangle.
    """
    rows = []
    for face, (points, places) in enumerate(zip(corners, uv, strict=True)):
        image = images[image_of_face[face]]
        height, width = image.shape[:2]
        for weights in WEIGHTS:
            u, v = weights @ places
            column = min(max(int(u * width), 0), width - 1)
            row = height - 1 - min(max(int(v * height), 0), height - 1)
            rows.append([*(weights @ points), *(image[row, column, :3] / 255)])
    return np.array(rows)


def colored(corners: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """Returns x y z r g b (sRGB, 0 to 1) of the corners of triangles, both `f 3 3`."""
    return np.concatenate([corners.reshape(-1, 3), colors.reshape(-1, 3)], axis=1)


def expected(scene: ReconstructedScene, turn: np.ndarray | None = None) -> np.ndarray:
    """Returns what a reader must find of an export, in axes turned by `turn`."""
    turn = np.eye(3) if turn is None else turn
    if scene.unwrapped is not None and "albedo" in scene.textures:
        mesh = scene.unwrapped.mesh
        corners = (mesh.vertices_in_world @ turn.T)[mesh.faces]
        pages = list(scene.textures["albedo"].pages)
        return painted(corners, scene.unwrapped.uv, pages, scene.unwrapped.page)
    mesh = scene.mesh
    assert mesh.colors is not None
    return colored((mesh.vertices_in_world @ turn.T)[mesh.faces], mesh.colors[mesh.faces] / 255)


def assert_same(found: np.ndarray, wanted: np.ndarray, atol: float = 2e-3) -> None:
    """Compares places and colours in any order."""
    assert found.shape == wanted.shape

    def in_order(rows: np.ndarray) -> np.ndarray:
        # Rounded, and off the .5 of rounding, so that noise does not change the order.
        keys = np.round(rows + 1.23456e-4, 2)
        return rows[np.lexsort(keys.T[::-1])]

    np.testing.assert_allclose(in_order(found), in_order(wanted), atol=atol)
