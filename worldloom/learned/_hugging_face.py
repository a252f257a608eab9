"""Depth models of Hugging Face transformers: Depth Anything V1 and V2, DPT and their like."""

import importlib
from typing import Any

import numpy as np
from jaxtyping import UInt8

from worldloom.errors import InputError, StageError
from worldloom.learned._estimator import ModelCard, Prediction


class TransformersEstimator:
    """A model behind `AutoModelForDepthEstimation`, on the CPU, from a local folder only.

    Args:
        card: The model.

    Raises:
        InputError: the folder does not hold a model that transformers can load, or not all of it.
    """

    def __init__(self, card: ModelCard) -> None:
        torch: Any = importlib.import_module("torch")
        transformers: Any = importlib.import_module("transformers")
        # Parallelism is over work items; results must not depend on the number of cores.
        torch.set_num_threads(1)
        path = card.ref.path
        chatter: Any = importlib.import_module("transformers.utils.logging")
        chatty = chatter.is_progress_bar_enabled()
        chatter.disable_progress_bar()
        try:
            # The torchvision backend would need another package; PIL's is the older one.
            processor = transformers.AutoImageProcessor.from_pretrained(
                path, local_files_only=True, backend="pil"
            )
            model, loaded = transformers.AutoModelForDepthEstimation.from_pretrained(
                path,
                local_files_only=True,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
            )
        except Exception as error:
            # The library raises whatever the files provoke in it (OSError, ValueError, KeyError,
            # ImportError, SafetensorError, ...).
            raise InputError(
                f"transformers {transformers.__version__} cannot load the depth model {path} "
                f"({type(error).__name__}: {_first_line(error)}); see that the folder is complete "
                "and that this version knows the model",
                path=path,
            ) from error
        finally:
            if chatty:
                chatter.enable_progress_bar()
        # transformers fills up with random numbers what a file lacks, and only logs it.
        absent = sorted({*loaded["missing_keys"], *(key for key, *_ in loaded["mismatched_keys"])})
        if absent:
            raise InputError(
                f"the weights in {path} do not fit its config.json: {len(absent)} tensors are "
                f"missing or of another shape, the first is {absent[0]}; fetch the model again",
                path=path,
            )
        self._card = card
        self._torch = torch
        self._processor = processor
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
        size = image.shape[:2]
        try:
            inputs = self._processor(images=image, return_tensors="pt")
            with self._torch.inference_mode():
                outputs = self._model(pixel_values=inputs["pixel_values"])
                (found,) = self._processor.post_process_depth_estimation(
                    outputs, target_sizes=[size]
                )
        except (RuntimeError, ValueError, TypeError, AttributeError) as error:
            raise StageError(
                f"the depth model {self._card.name} cannot process an image of "
                f"{size[1]} x {size[0]} pixels ({_first_line(error)}); use another model",
                stage="predict",
                subject=self._card.name,
            ) from error
        values = found["predicted_depth"].numpy().astype(np.float32).reshape(size)
        return Prediction(values, np.ones(size, bool))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
