"""MoGe: depth up to scale (1) or in metres (2), with a mask of what has none."""

import importlib
from typing import Any

import numpy as np
from jaxtyping import UInt8

from worldloom.errors import InputError, StageError
from worldloom.learned._estimator import ModelCard, Prediction


class MogeEstimator:
    """A model of the `moge` package, on the CPU, from a local checkpoint only.

    Source: Wang et al., MoGe: Unlocking Accurate Monocular Geometry Estimation, CVPR 2025.

    Args:
        card: The model; its path is a file, as for anything else moge would ask the network.

    Raises:
        InputError: the file does not hold a model of that version.
    """

    def __init__(self, card: ModelCard) -> None:
        torch: Any = importlib.import_module("torch")
        version = card.ref.kind.removeprefix("moge-")
        moge: Any = importlib.import_module(f"moge.model.v{version}")
        torch.set_num_threads(1)
        try:
            model = moge.MoGeModel.from_pretrained(card.ref.path)
        except Exception as error:
            # As with any checkpoint, what a wrong one provokes is anybody's guess.
            raise InputError(
                f"moge cannot load {card.ref.path} as MoGe {version} ({type(error).__name__}: "
                f"{error}); see that the file is complete and --depth-model-kind right",
                path=card.ref.path,
            ) from error
        self._card = card
        self._torch = torch
        self._model = model.eval()

    @property
    def card(self) -> ModelCard:
        """Name, licence, what it predicts, and the digest of its weights."""
        return self._card

    def predict(self, image: UInt8[np.ndarray, "h w 3"]) -> Prediction:
        """Returns the prediction for an image, RGB, at the size of the image.

        Raises:
            StageError: the model cannot process it.
        """
        pixels = np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32) / 255
        try:
            found = self._model.infer(self._torch.from_numpy(pixels), use_fp16=False)
        except (RuntimeError, ValueError, TypeError) as error:
            raise StageError(
                f"the depth model {self._card.name} cannot process an image of {image.shape[1]} x "
                f"{image.shape[0]} pixels ({error}); use another model",
                stage="predict",
                subject=self._card.name,
            ) from error
        values = found["depth"].float().numpy()
        # What it masks out (sky) it sets to infinity.
        known = values != np.inf
        return Prediction(np.where(known, values, 0).astype(np.float32), known)
