"""The field: a signed distance that corrects the fused one, and colours."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from worldloom.neural._config import NeuralConfig
from worldloom.neural._grids import FeatureGrids
from worldloom.neural._seed import Seed

_HIDDEN = 32


@dataclass(frozen=True, eq=False)
class FieldParts:
    """A field at some places."""

    fused: Tensor
    """[n] fused distance."""
    correction: Tensor
    """[n] what the field adds to it."""
    features: Tensor
    """[n f], for colours."""

    @property
    def distance(self) -> Tensor:
        """[n] signed distance."""
        return self.fused + self.correction


class DistanceField(nn.Module):
    """Signed distance and colour of places in a chunk; places and distances in voxels.

    The distance is the fused one plus what a linear layer reads from the features: at the start it
    is the fused one, and each step changes it where the features are.

    Args:
        seed: What it starts from.
        config: Settings.
        views: Number of views, for their gains.
        generator: Of the starting values.
    """

    def __init__(
        self, seed: Seed, config: NeuralConfig, views: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self._seed = seed
        size = seed.size.astype(np.float64).tolist()
        self.grids = FeatureGrids(
            (size[0], size[1], size[2]),
            *(config.levels, config.features, config.table_log2, generator),
        )
        width = config.levels * config.features
        self.distance_head = _linear(width, 1, generator)
        self.color_hidden = _linear(width + 3, _HIDDEN, generator)
        self.color_head = _linear(_HIDDEN, 3, generator)
        self.log_gains = nn.Parameter(torch.zeros(views, 3), requires_grad=config.learn_exposure)

    def parts(self, places: Tensor, open_levels: float) -> FieldParts:
        """Returns what the field is made of at [n 3] places."""
        fused, freedom = self._seed.at(places)
        features = self.grids(places, open_levels)
        return FieldParts(fused, freedom * self.distance_head(features)[:, 0], features)

    def colors(self, features: Tensor, directions: Tensor) -> Tensor:
        """Returns sRGB, 0 to 1, [n 3], of features seen along unit directions."""
        hidden = torch.relu(self.color_hidden(torch.cat([features, directions], dim=1)))
        return torch.sigmoid(self.color_head(hidden))

    def gains(self, views: Tensor) -> Tensor:
        """Returns the gains of [n] views, [n 3]; their geometric mean over all views is 1."""
        level = self.log_gains - self.log_gains.mean(dim=0, keepdim=True)
        return torch.exp(level[views])


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    bound = inputs**-0.5
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        layer.bias.zero_()
    return layer
