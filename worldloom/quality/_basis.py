"""What the quality of a scene is measured on, kept in the store to be measured again."""

from collections.abc import Sequence
from dataclasses import dataclass

from worldloom.errors import StoreError
from worldloom.reconstruction import Reconstruction
from worldloom.response import Response, ViewExposure
from worldloom.scene import Chunk, DepthRef, Frame
from worldloom.store import ArtifactKey, Store, artifact_key

BASIS_EVIDENCE = "quality_basis"
"""Name of the key of the basis in the evidence of a manifest."""
_STAGE = "quality-basis"
_VERSION = 1


@dataclass(frozen=True, eq=False)
class QualityBasis:
    """The evidence behind a scene, by reference: views with their depth, chunks, exposures."""

    depth: tuple[DepthRef, ...]
    """Depth maps with their frames, by view id."""
    min_confidence: float
    """Confidence from which on depth counts, 0 to 1."""
    held_out: tuple[Frame, ...]
    """Views that nothing was made from."""
    chunks: tuple[Chunk, ...]
    """The surface plan."""
    voxel_m: float
    """Side of a voxel, world unit."""
    exposures: tuple[ViewExposure, ...]
    """That were undone in the colours of the scene; empty where they were taken as they are."""
    response: Response | None
    """Their tone curve; None where they were taken as they are."""

    def exposure_of(self, frame: Frame) -> ViewExposure | None:
        """Returns the exposure of a view that the scene was made from; None where unknown."""
        return next((e for e in self.exposures if e.view_id == frame.view_id), None)

    @property
    def longer_px(self) -> int:
        """Longer side of the largest depth map, the size at which views are compared."""
        return max(max(ref.width_px, ref.height_px) for ref in self.depth)


def quality_basis(made: Reconstruction, held_out: Sequence[Frame]) -> QualityBasis:
    """Returns what the quality of a reconstruction is measured on.

    Args:
        made: The reconstruction.
        held_out: Views that nothing was made from.
    """
    balance = made.balance
    return QualityBasis(
        made.depth,
        made.min_confidence,
        tuple(held_out),
        made.chunks,
        made.voxel_m,
        () if balance is None else balance.exposures,
        None if balance is None else balance.response,
    )


def save_basis(store: Store, basis: QualityBasis) -> ArtifactKey:
    """Writes a basis into the store of its frames; the same one has the same key.

    Raises:
        StoreError: it cannot be written.
    """
    key = artifact_key(_STAGE, _VERSION, basis)
    if store.result(key, QualityBasis) is None:
        store.commit(key, basis)
    return key


def load_basis(store: Store, key: ArtifactKey) -> QualityBasis:
    """Reads a basis back.

    Raises:
        StoreError: it is gone, or cannot be read.
    """
    basis = store.result(key, QualityBasis)
    if basis is None:
        raise StoreError(
            f"{store.uri} does not hold what the quality of this scene is measured on ({key}); "
            "give the store that the scene was made with, or reconstruct it again",
            key=key,
            uri=store.uri,
        )
    return basis
