"""Settings of the exposure."""

from dataclasses import dataclass
from typing import Literal

from worldloom.errors import ConfigError
from worldloom.response import Response


@dataclass(frozen=True)
class ExposureConfig:
    """How the exposure and white balance of the views are found; only colours depend on it."""

    estimate: bool = True
    """Make the colours of all views agree before they are averaged; off takes them as they are."""
    response: Literal["auto"] | Response = "auto"
    """Tone curve that gains act before: filmic has a toe and a shoulder, as phones and generated
    video; linear is sRGB alone; auto takes the one with which the views agree better."""
    max_gain: float = 4.0
    """Gains are kept within 1 / max_gain to max_gain."""
    prior: float = 0.01
    """Weight of "this view is like the others", in samples; more keeps gains nearer to 1, first the
    slow drift along long chains of views."""
    samples: int = 2048
    """Cells that a view gives for the comparison; more is more precise and takes longer."""
    max_samples: int = 4_000_000
    """Samples of all views together, about 100 bytes each; beyond, each view gives fewer."""
    min_shared: int = 32
    """Views that share fewer samples with others keep a gain of 1."""

    def __post_init__(self) -> None:
        if self.response not in ("auto", "filmic", "linear"):
            raise ConfigError(
                f"response must be auto, filmic or linear, got {self.response!r}", field="response"
            )
        if not 1 <= self.max_gain <= 64:
            raise ConfigError(f"max_gain must be 1 to 64, got {self.max_gain}", field="max_gain")
        if not self.prior > 0:
            raise ConfigError(f"prior must be above 0, got {self.prior}", field="prior")
        for name in ("samples", "max_samples", "min_shared"):
            if getattr(self, name) < 1:
                raise ConfigError(
                    f"{name} must be at least 1, got {getattr(self, name)}", field=name
                )
