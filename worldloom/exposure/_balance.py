"""The stage that compares the colours of all views and finds their exposures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from worldloom.bench import Bench
from worldloom.exposure._config import ExposureConfig
from worldloom.exposure._samples import SampledView, load_samples, shared_samples
from worldloom.exposure._solve import solve_gains, spread_levels
from worldloom.response import RESPONSES, Response, ViewExposure
from worldloom.stage import Role, Stage
from worldloom.store import ArtifactKey


@dataclass(frozen=True)
class BalanceWork:
    """The samples of all views."""

    views: tuple[SampledView, ...]
    """By view id, ascending."""
    responses: tuple[Response, ...]
    """Tone curves to choose from."""
    max_gain: float
    """See `ExposureConfig`."""
    prior: float
    """See `ExposureConfig`."""
    max_samples: int
    """See `ExposureConfig`."""
    min_shared: int
    """See `ExposureConfig`."""

    @property
    def subject(self) -> str:
        """For people."""
        return "exposure"


@dataclass(frozen=True)
class Balance:
    """The exposures of all views, and what they are good for."""

    exposures: tuple[ViewExposure, ...]
    """By view id, ascending."""
    response: Response
    """Tone curve of all of them."""
    spread_before_levels: float
    """Mean distance of a sampled colour from the mean of its cell, levels of 255."""
    spread_levels: float
    """The same with the gains undone."""
    shared_samples: int
    """What was compared."""


def balance_work(views: Sequence[SampledView], config: ExposureConfig) -> BalanceWork:
    """Returns the work item that compares views; their order does not matter."""
    return BalanceWork(
        tuple(sorted(views, key=lambda view: view.view_id)),
        RESPONSES if config.response == "auto" else (config.response,),
        config.max_gain,
        config.prior,
        config.max_samples,
        config.min_shared,
    )


def _balance(bench: Bench, key: ArtifactKey, work: BalanceWork) -> Balance:
    count = len(work.views)
    loaded = load_samples(bench, work.views, work.max_samples)
    samples = shared_samples(loaded, count, work.min_shared)
    solutions = [solve_gains(samples, count, r, work.prior) for r in work.responses]
    best = min(solutions, key=lambda solution: solution.spread_levels)
    most = np.log(work.max_gain)
    # Six decimals: what depends on the gains is not made anew for the last bit of a logarithm.
    gains = np.exp(np.clip(best.log_gains, -most, most)).round(6).tolist()
    as_they_are = [ViewExposure(i, best.response, (1.0, 1.0, 1.0)) for i in range(count)]
    return Balance(
        tuple(
            ViewExposure(view.view_id, best.response, (red, green, blue))
            for view, (red, green, blue) in zip(work.views, gains, strict=True)
        ),
        best.response,
        spread_levels(samples, as_they_are),
        best.spread_levels,
        len(samples),
    )


BALANCE = Stage("balance", 1, Role.MERGER, Balance, _balance)
"""Finds the exposures of all views."""
