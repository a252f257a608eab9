"""Settings of learned depth."""

from dataclasses import dataclass, field
from typing import Literal

from worldloom.errors import ConfigError
from worldloom.learned._estimator import ModelKind


@dataclass(frozen=True)
class AlignmentConfig:
    """How predictions are brought to the scale of the scene, and when they are refused."""

    tolerance: float = 0.1
    """Relative error up to which a prediction agrees with known depth."""
    min_inlier_share: float = 0.5
    """Least share of the pixels of known depth that have to agree; more refuses more views."""
    min_known_px: int = 200
    """Least number of pixels of known depth."""

    def __post_init__(self) -> None:
        for name, value in (
            ("tolerance", self.tolerance),
            ("min_inlier_share", self.min_inlier_share),
        ):
            if not 0 < value < 1:
                raise ConfigError(f"{name} must be between 0 and 1, got {value}", field=name)
        if self.min_known_px < 2:
            raise ConfigError(
                f"min_known_px must be at least 2, got {self.min_known_px}", field="min_known_px"
            )


@dataclass(frozen=True)
class LearnedConfig:
    """A trained model that guesses depth where no view confirms any; off unless one is named."""

    depth_model: str | None = None
    """Folder of a monocular depth model, or a model id (owner/name) in `depth_model_cache`; unset:
    no model is used. Nothing is ever downloaded."""
    depth_model_cache: str | None = None
    """Cache folder of Hugging Face that holds `depth_model`."""
    depth_model_kind: ModelKind = "transformers"
    """What loads it: Hugging Face transformers, or the moge package for MoGe 1 and 2."""
    depth_model_predicts: Literal["auto", "inverse_depth", "depth"] = "auto"
    """What it predicts, up to scale and shift; auto: as its configuration says."""
    alignment: AlignmentConfig = field(default_factory=AlignmentConfig)

    def __post_init__(self) -> None:
        if self.depth_model is None and self.depth_model_cache is not None:
            raise ConfigError(
                f"depth_model_cache is {self.depth_model_cache} but no model in it is named; "
                "give depth_model too",
                field="depth_model_cache",
            )
        if self.depth_model == "":
            raise ConfigError(
                "depth_model is empty; name a folder, or leave it out", field="depth_model"
            )
