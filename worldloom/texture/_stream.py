"""Footprints of many views, kept on disk and read one view after the other."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np

from worldloom.bench import Bench
from worldloom.scene import UnwrappedMesh
from worldloom.texture._footprints import FootprintCaster, Footprints
from worldloom.texture._inputs import TextureView


class FootprintStream:
    """Footprints in a temporary folder, in the order of the views; iterate as often as needed.

    They take about 50 bytes a pixel; use as a context, which removes them in the end.

    Args:
        bench: Where the images are.
        unwrapped: The mesh and its UV set.
        views: The views.
    """

    def __init__(
        self, bench: Bench, unwrapped: UnwrappedMesh, views: Sequence[TextureView]
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="worldloom-footprints-")
        self._count = len(views)
        caster = FootprintCaster(unwrapped)
        for number, view in enumerate(views):
            found = caster.footprints(bench, view)
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
