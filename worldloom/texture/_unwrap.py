"""The stage that unwraps one part of the light mesh."""

from dataclasses import dataclass

from worldloom.bench import Bench
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey
from worldloom.texture._charts import Charts, unwrapped_charts
from worldloom.texture._light import LightMesh, load_light

CHARTS_FILE = "charts.npz"


@dataclass(frozen=True)
class UnwrapWork:
    """One part of a light mesh."""

    light: LightMesh
    part: int

    @property
    def subject(self) -> str:
        """For people."""
        return f"part {self.part}"


@dataclass(frozen=True)
class UnwrappedPart:
    """The charts of one part."""

    part: int
    artifact: ArtifactKey
    """Artifact with `charts.npz`: the fields of `Charts`."""
    faces: int
    charts: int


def load_charts(bench: Bench, part: UnwrappedPart) -> Charts:
    """Returns the charts of a part."""
    return Charts(**bench.arrays(part.artifact, CHARTS_FILE))


def _unwrap(bench: Bench, key: ArtifactKey, work: UnwrapWork) -> UnwrappedPart:
    light = load_light(bench, work.light)
    faces = light.mesh.faces[light.part(work.part)]
    charts = unwrapped_charts(light.mesh.vertices_in_world, faces)
    bench.write_arrays(key, CHARTS_FILE, **vars(charts))
    return UnwrappedPart(work.part, key, len(faces), len(charts.size_m))


UNWRAP = Stage("unwrap", 1, Role.CHUNK, UnwrappedPart, _unwrap)
"""Lays the faces of one part flat."""
