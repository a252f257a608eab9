"""Stage: what a trained model guesses of the depth of one view."""

from dataclasses import dataclass

from worldloom.bench import Bench
from worldloom.learned._estimator import ModelRef
from worldloom.learned._load import load_estimator
from worldloom.scene import Frame
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey


@dataclass(frozen=True, eq=False)
class PredictWork:
    """A view to look at; the guess depends on its image alone."""

    frame: Frame
    model: ModelRef
    width_px: int
    """Width of the image that the model gets, and of the prediction."""
    height_px: int
    """Height of the image that the model gets, and of the prediction."""

    @property
    def subject(self) -> str:
        """What the item is about, for people."""
        return f"view {self.frame.view_id} ({self.frame.name})"


@dataclass(frozen=True, eq=False)
class PredictResult:
    """Artifact with `prediction.npz`: values (h w) and known (h w), as the model gave them."""

    frame: Frame
    artifact: ArtifactKey


def _predict(bench: Bench, key: ArtifactKey, work: PredictWork) -> PredictResult:
    estimator = load_estimator(bench, work.model)
    found = estimator.predict(bench.image(work.frame, work.width_px, work.height_px))
    bench.write_arrays(key, "prediction.npz", values=found.values, known=found.known)
    return PredictResult(work.frame, key)


PREDICT = Stage("predict", 1, Role.DEPTH, PredictResult, _predict)
"""Work: `PredictWork`."""
