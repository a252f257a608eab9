"""What a monocular depth model is to Worldloom."""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, UInt8

ModelKind = Literal["transformers", "moge-1", "moge-2"]
Quantity = Literal["inverse_depth", "depth"]
"""What a model predicts, up to scale and shift: 1 / depth along +z, or depth along +z."""


@dataclass(frozen=True)
class ModelRef:
    """What it takes to load a model, and to know that it is the same one."""

    path: str
    """Absolute path of its folder, or of its checkpoint file."""
    kind: ModelKind
    quantity: Quantity
    """What it predicts."""
    weights_sha256: str
    """Digest of its weights and settings: results depend on it, and so do their keys."""


@dataclass(frozen=True)
class ModelCard:
    """What the files of a model say about it."""

    ref: ModelRef
    name: str
    licence: str
    """As its card says."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of one image, not aligned to any unit."""

    values: Float32[np.ndarray, "h w"]
    """Inverse depth or depth, see `ModelRef.quantity`."""
    known: Bool[np.ndarray, "h w"]
    """False where the model says itself that it does not know (sky)."""


@runtime_checkable
class DepthEstimator(Protocol):
    """A loaded model; threads share it."""

    @property
    def card(self) -> ModelCard:
        """Name, licence, what it predicts, and the digest of its weights."""
        ...

    def predict(self, image: UInt8[np.ndarray, "h w 3"]) -> Prediction:
        """Returns the prediction for an image, RGB, at the size of the image.

        Raises:
            StageError: the model cannot process it.
        """
        ...
