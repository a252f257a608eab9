"""Loaded models: one a bench, shared by its threads."""

import threading
from pathlib import Path
from weakref import WeakKeyDictionary

from worldloom.bench import Bench
from worldloom.errors import InputError
from worldloom.learned._card import card_of, require_package, weights_digest
from worldloom.learned._estimator import DepthEstimator, ModelRef
from worldloom.learned._hugging_face import TransformersEstimator
from worldloom.learned._moge import MogeEstimator

# A model lives as long as the bench that it was loaded for, and there is one at a time.
_loaded: WeakKeyDictionary[Bench, DepthEstimator] = WeakKeyDictionary()
_lock = threading.Lock()


def load_estimator(bench: Bench, ref: ModelRef) -> DepthEstimator:
    """Returns a model, loaded at its first use at a bench; another one takes its place.

    Args:
        bench: Keeps the model.
        ref: The model.

    Raises:
        ConfigError: the package that loads it is not installed here.
        InputError: it is not there on this machine, cannot be loaded, or has changed since the
            job began.
    """
    with _lock:
        known = _loaded.get(bench)
        if known is not None and known.card.ref == ref:
            return known
        _loaded.pop(bench, None)
        require_package(ref.kind)
        if weights_digest(Path(ref.path)) != ref.weights_sha256:
            raise InputError(
                f"the depth model {ref.path} is not the one that the job began with, on this "
                "machine; give every node the same files and run again",
                path=ref.path,
            )
        kind = TransformersEstimator if ref.kind == "transformers" else MogeEstimator
        estimator = kind(card_of(ref))
        _loaded[bench] = estimator
        return estimator
