"""Footprints of many views on one page, kept on disk and read one view after the other."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
from jaxtyping import Int32

from worldloom.bench import Bench
from worldloom.scene import Mesh, UnwrappedMesh
from worldloom.texture._footprints import FootprintCaster, Footprints
from worldloom.texture._inputs import TextureView


class FootprintStream:
    """Footprints in a temporary folder, in the order of the views; iterate as often as needed.

    They take about 50 bytes a pixel; use as a context, which removes them in the end.

    Args:
        bench: Where the images are.
        unwrapped: The mesh and its UV set.
        views: The views.
        page: Only pixels that look at this page; it counts as page 0, and its faces are numbered
            as `page_mesh` does it.
    """

    def __init__(
        self, bench: Bench, unwrapped: UnwrappedMesh, views: Sequence[TextureView], page: int
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="worldloom-footprints-")
        self._count = len(views)
        caster = FootprintCaster(unwrapped)
        own = unwrapped.page == page
        number_on_page = (np.cumsum(own) - 1).astype(np.int32)
        for number, view in enumerate(views):
            found = _on_page(caster.footprints(bench, view), page, number_on_page)
            for field in fields(Footprints):
                np.save(self._path(number, field.name), getattr(found, field.name))

    def __enter__(self) -> "FootprintStream":
        return self

    def __exit__(self, *_error: object) -> None:
        self._folder.cleanup()

    def __iter__(self) -> Iterator[Footprints]:
        for number in range(self._count):
            loaded = {f.name: np.load(self._path(number, f.name)) for f in fields(Footprints)}
            yield Footprints(**loaded)

    def _path(self, number: int, name: str) -> Path:
        return Path(self._folder.name) / f"{number}_{name}.npy"


def _on_page(seen: Footprints, page: int, number_on_page: Int32[np.ndarray, "f"]) -> Footprints:
    here = seen.page == page
    return Footprints(
        seen.place[here],
        np.zeros(int(here.sum()), np.int32),
        number_on_page[seen.face[here]],
        seen.color[here],
    )


def page_mesh(unwrapped: UnwrappedMesh, page: int) -> UnwrappedMesh:
    """Returns the faces of one page, in their order, as a mesh of its own with page 0 alone."""
    own = unwrapped.page == page
    used, faces = np.unique(unwrapped.mesh.faces[own], return_inverse=True)
    return UnwrappedMesh(
        Mesh(unwrapped.mesh.vertices_in_world[used], faces.reshape(-1, 3).astype(np.int32)),
        unwrapped.uv[own],
        np.zeros(int(own.sum()), np.int32),
    )
