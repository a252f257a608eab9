"""Refinement of a mesh: outliers removed, smoothed, holes filled, decimated."""

import logging
import math
from dataclasses import dataclass, replace
from typing import overload

import numpy as np
from jaxtyping import Bool, Int64

from worldloom.errors import ConfigError, InputError
from worldloom.meshes._cleanup import cleaned_mesh, without_faces
from worldloom.meshes._config import RefinementConfig
from worldloom.meshes._decimation import decimate
from worldloom.meshes._denoising import denoised
from worldloom.meshes._filling import filled_mesh
from worldloom.meshes._manifold import manifold_mesh
from worldloom.meshes._outliers import loose_pieces, main_diagonal, without_spikes
from worldloom.scene import Mesh, UnwrappedMesh
from worldloom.surface import vertex_normals

_logger = logging.getLogger(__name__)
_TRIES = 4


@overload
def refine_mesh(
    mesh: Mesh,
    remove_outliers: bool = True,
    smooth_normals: bool = True,
    fill_holes: bool = True,
    simplify: float | None = None,
    config: RefinementConfig | None = None,
) -> Mesh: ...
@overload
def refine_mesh(
    mesh: UnwrappedMesh,
    remove_outliers: bool = True,
    smooth_normals: bool = True,
    fill_holes: bool = True,
    simplify: float | None = None,
    config: RefinementConfig | None = None,
) -> UnwrappedMesh: ...


def refine_mesh(
    mesh: Mesh | UnwrappedMesh,
    remove_outliers: bool = True,
    smooth_normals: bool = True,
    fill_holes: bool = True,
    simplify: float | None = None,
    config: RefinementConfig | None = None,
) -> Mesh | UnwrappedMesh:
    """Refines a mesh: what comes out is a well-oriented manifold.

    Faces without area, repeated faces and unused vertices go in any case, vertices at the same
    place are made one, faces are wound alike, and the mesh is cut where surfaces only touch. World
    frame, colours and normals are kept; where the surface changes, normals are made anew. The same
    input gives the same result. `mesh_report` tells what kind of surface a mesh is.

    Args:
        mesh: Any mesh, also empty or not manifold.
        remove_outliers: Remove small loose pieces, and pull spikes back into the surface.
        smooth_normals: Smooth noise, keep edges: bilateral filtering of normals, which the
            vertices follow.
        fill_holes: Close holes up to the size in the settings. An outer edge is none.
        simplify: Share of the vertices to keep, above 0 to 1; None keeps all. Boundaries that are
            kept can leave some more.
        config: Settings; None for the usual ones.

    Raises:
        ConfigError: `simplify` is not a share; or an unwrapped mesh is to be filled or simplified,
            for new faces have no place in its texture.
        InputError: positions or normals are not finite, or the lists of the mesh do not match.
    """
    settings = config or RefinementConfig()
    if simplify is not None and not 0 < simplify <= 1:
        raise ConfigError(
            f"simplify is {simplify}; give the share of the vertices to keep, above 0 to 1",
            field="simplify",
        )
    if isinstance(mesh, UnwrappedMesh):
        if fill_holes or simplify is not None:
            raise ConfigError(
                "faces that fill holes or come from decimation have no place in the texture of an "
                "unwrapped mesh; pass fill_holes=False and no simplify, or refine the mesh first "
                "and unwrap it then",
                field="simplify" if simplify is not None else "fill_holes",
            )
        return _refined_unwrapped(mesh, remove_outliers, smooth_normals, settings)
    prepared = _prepared(mesh, remove_outliers, settings)
    result = _smoothed(prepared.mesh, remove_outliers, smooth_normals, settings)
    if fill_holes and len(result.faces):
        result = _filled(result, settings)
    if simplify is not None and simplify < 1:
        result = manifold_mesh(_simplified(result, simplify)).mesh
    return result


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A manifold, and how its faces stand to those of the given mesh."""

    mesh: Mesh
    source_faces: Int64[np.ndarray, "f"]
    turned: Bool[np.ndarray, "f"]
    """Faces whose last two corners were swapped."""


def _prepared(mesh: Mesh, remove_outliers: bool, config: RefinementConfig) -> _Prepared:
    cleaned = cleaned_mesh(mesh)
    manifold = manifold_mesh(cleaned.mesh)
    loose = np.zeros(len(cleaned.source_faces), bool)
    if remove_outliers:
        loose = loose_pieces(manifold.mesh, config.min_piece_share)
        _logger.info("%d faces of small loose pieces are removed", int(loose.sum()))
    return _Prepared(
        without_faces(manifold.mesh, loose),
        cleaned.source_faces[~loose],
        manifold.turned_faces[~loose],
    )


def _smoothed(mesh: Mesh, despiked: bool, smoothed: bool, config: RefinementConfig) -> Mesh:
    vertices = without_spikes(mesh, config.spike_edges) if despiked else mesh.vertices_in_world
    if smoothed:
        vertices = denoised(
            replace(mesh, vertices_in_world=vertices),
            config.normal_rounds,
            config.vertex_rounds,
            config.normal_sigma,
        )
    if np.array_equal(vertices, mesh.vertices_in_world):
        return mesh
    normals = None if mesh.normals_in_world is None else vertex_normals(vertices, mesh.faces)
    return Mesh(vertices, mesh.faces, mesh.colors, normals)


def _filled(mesh: Mesh, config: RefinementConfig) -> Mesh:
    greatest_m = config.max_hole_m
    if greatest_m is None:
        greatest_m = config.max_hole_share * main_diagonal(mesh)
    filled = filled_mesh(mesh, greatest_m, config.max_hole_edges)
    _logger.info("%d holes up to %.4g are filled", filled.filled, greatest_m)
    return filled.mesh


def _simplified(mesh: Mesh, share: float) -> Mesh:
    """Comes to a number of vertices, which decimation does not take."""
    wanted = max(3, round(share * len(mesh.vertices_in_world)))
    faces = max(1, round(share * len(mesh.faces)))
    result = decimate(mesh, faces)
    for _ in range(_TRIES):
        excess = len(result.vertices_in_world) / wanted
        if excess <= 1 or len(result.faces) > faces:
            break
        faces = max(1, math.floor(faces / excess))
        result = decimate(mesh, faces)
    return result


def _refined_unwrapped(
    unwrapped: UnwrappedMesh, remove_outliers: bool, smooth_normals: bool, config: RefinementConfig
) -> UnwrappedMesh:
    if not np.isfinite(unwrapped.uv).all():
        raise InputError("some texture coordinates are not finite; unwrap the mesh again")
    prepared = _prepared(unwrapped.mesh, remove_outliers, config)
    uv = unwrapped.uv[prepared.source_faces]
    uv[prepared.turned] = uv[prepared.turned][:, [0, 2, 1]]
    return UnwrappedMesh(
        _smoothed(prepared.mesh, remove_outliers, smooth_normals, config),
        uv,
        unwrapped.page[prepared.source_faces],
    )
