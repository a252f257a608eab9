"""Vertices inside filled holes: laid smoothly, and coloured, from what is around them."""

import numpy as np
from jaxtyping import Float64, Int32
from scipy.sparse import coo_array, csr_array, diags_array
from scipy.sparse.linalg import splu


def faired(
    vertices: Float64[np.ndarray, "v 3"], faces: Int32[np.ndarray, "f 3"], first: int
) -> Float64[np.ndarray, "v 3"]:
    """Returns the vertices with those from `first` on laid as a thin plate over the rest.

    The umbrella operator applied twice is 0 at each free vertex: Kobbelt et al., "Interactive
    multi-resolution modeling on arbitrary meshes", SIGGRAPH 1998, section 3. So position and
    direction go on across the rim.

    Args:
        vertices: The free vertices are the last ones.
        faces: All faces that a free vertex or a neighbour of one is in.
        first: Number of the first free vertex.
    """
    umbrella = _umbrella(faces, len(vertices))
    free = umbrella[first:]
    touched = np.unique(free.indices)
    twice = csr_array(free[:, touched] @ umbrella[touched])
    return _solved(twice, vertices, first)


def interpolated(
    values: Float64[np.ndarray, "v k"], faces: Int32[np.ndarray, "f 3"], first: int
) -> Float64[np.ndarray, "v k"]:
    """Returns values that are the mean of their neighbours' at each vertex from `first` on.

    Args:
        values: Those of the free vertices, the last ones, are not read.
        faces: All faces that a free vertex is in.
        first: Number of the first free vertex.
    """
    return _solved(csr_array(_umbrella(faces, len(values))[first:]), values, first)


def _umbrella(faces: Int32[np.ndarray, "f 3"], vertices: int) -> csr_array:
    """The mean of the neighbours less the vertex itself."""
    ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    ends = np.concatenate([ends, ends[:, ::-1]])
    links = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), (vertices,) * 2).tocsr()
    links.data[:] = 1.0
    degree = np.asarray(links.sum(axis=1)).reshape(-1)
    mean = diags_array(1.0 / np.maximum(degree, 1.0)) @ links
    return csr_array(mean - diags_array((degree > 0).astype(np.float64)))


def _solved(
    equations: csr_array, values: Float64[np.ndarray, "v k"], first: int
) -> Float64[np.ndarray, "v k"]:
    out = values.copy()
    if first == len(values):
        return out
    unknown = equations[:, first:].tocsc()
    known = -(equations[:, :first] @ values[:first])
    out[first:] = splu(unknown).solve(known)
    return out
