"""Training: the schedule of steps, growth, looks at validation views, and checkpoints."""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from worldloom.splat._config import SplatConfig
from worldloom.splat._gaussians import Gaussians
from worldloom.splat._growth import grown
from worldloom.splat._learner import Learner, Rates, TrainingView
from worldloom.splat._state import Best, State

_logger = logging.getLogger(__name__)

GROWTH_INTERVAL = 100
GROWTH_FROM, GROWTH_TO = 0.15, 0.6
"""Shares of the steps between which there is growth."""
VALIDATED_OF = 10
"""Views are kept for validation only where there are this many times more."""
_MEANS_RATE, _MEANS_RATE_END = 2e-1, 2e-3
"""Rate of the means at the first and the last step, in spacings of the seeds; geometric between."""
_QUANTISATION = 1 / 12 / 255**2


@dataclass(frozen=True)
class Split:
    """Views to learn from and views to choose by."""

    training: tuple[int, ...]
    validation: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Course:
    """How training went, and what came of it."""

    gaussians: Gaussians
    """The best there were, or those under way where a later round goes on."""
    steps: int
    """Steps done, in all runs together."""
    best_step: int
    """Step whose Gaussians were taken."""
    validation_psnr_db: float | None
    """Of them; None without validation views, and under way."""


def validation_places(count: int, config: SplatConfig) -> tuple[int, ...]:
    """Returns which of all views of a scene are kept for validation: spread, few, none of a few.

    They are the same for all chunks: what one chunk is not shown, the other must not lack.
    """
    kept = min(config.validation_views, count // VALIDATED_OF)
    return tuple(sorted({round((i + 0.5) * count / kept - 0.5) for i in range(kept)}))


def split_views(view_ids: Sequence[int], validation: Collection[int]) -> Split:
    """Returns the positions of the views of a chunk to learn from and to choose by.

    Args:
        view_ids: Of the views of the chunk.
        validation: Ids of the views of the scene that are kept for validation. Where they are too
            many of those of a chunk, it learns from them too and goes without.
    """
    kept = tuple(i for i, view_id in enumerate(view_ids) if view_id in validation)
    if len(kept) * VALIDATED_OF > 2 * len(view_ids):
        kept = ()
    return Split(tuple(i for i in range(len(view_ids)) if i not in kept), kept)


def rates_at(step: int, config: SplatConfig, spacing_m: float) -> Rates:
    """Returns the rates of a step; those of 3DGS, but for the means, which are near already."""
    done = min(step / config.steps, 1.0)
    means = _MEANS_RATE * (_MEANS_RATE_END / _MEANS_RATE) ** done
    late = 0.1 ** max(0.0, 2 * done - 1)
    return Rates(
        means=means * spacing_m,
        log_scales=5e-3 * late,
        rotations=2e-3 * late,
        logits=3e-2 * late,
        sh_base=5e-3 * late,
        sh_rest=2.5e-4 * late,
        gains=1e-3 * late,
        sh_degree=min(config.sh_degree, step // config.sh_interval),
    )


def train(
    learner: Learner,
    views: Sequence[TrainingView],
    split: Split,
    config: SplatConfig,
    spacing_m: float,
    until: int,
    save: Callable[[State], None],
) -> Course:
    """Trains until the steps are done or the validation views see no more gain.

    What is drawn depends on the seed and the step alone, so a run that goes on from a checkpoint,
    or a round that goes on from the one before, takes the steps that it would have taken.

    Args:
        learner: Holds the state to begin with, which may be under way.
        views: To learn from and to choose by.
        split: Which of them are for what.
        config: Settings.
        spacing_m: Spacing of the seeds, world unit.
        until: Step to end with, at most `config.steps`.
        save: Called with the state at every checkpoint.
    """
    step = learner.state().step
    judges = [views[i] for i in split.validation]
    while step < until and learner.state().looks_since_best < config.patience:
        index = _view_at(step, split, config.seed)
        learner.step(index, views[index], rates_at(step, config, spacing_m))
        step += 1
        if _grows_at(step, config):
            _grow(learner, step, config)
        if judges and (step % config.validation_interval == 0 or step == config.steps):
            _look(learner, step, judges, config)
        if step % config.checkpoint_interval == 0 and step < until:
            save(learner.state())
    state = learner.state()
    ended = step == config.steps or state.looks_since_best >= config.patience
    if state.best is None or not ended:
        return Course(state.gaussians, step, step, None)
    return Course(state.best.gaussians, step, state.best.step, state.best.psnr_db)


def _view_at(step: int, split: Split, seed: int) -> int:
    """Each epoch shows every view once, in an order of its own."""
    epoch, place = divmod(step, len(split.training))
    order = np.random.default_rng([seed, epoch]).permutation(len(split.training))
    return split.training[order[place]]


def _grows_at(step: int, config: SplatConfig) -> bool:
    within = GROWTH_FROM * config.steps <= step <= GROWTH_TO * config.steps
    return within and step % GROWTH_INTERVAL == 0


def _grow(learner: Learner, step: int, config: SplatConfig) -> None:
    rounds = sum(_grows_at(at, config) for at in range(config.steps + 1))
    state = learner.state()
    more = round(state.seeds * config.growth / rounds)
    more = max(0, min(more, config.max_gaussians - len(state)))
    learner.restore(grown(state, more, np.random.default_rng([config.seed, step, 1])))


def _look(learner: Learner, step: int, views: Sequence[TrainingView], config: SplatConfig) -> None:
    """Measures the validation views and keeps the best state."""
    degree = min(config.sh_degree, step // config.sh_interval)
    psnr_db = float(np.mean([_psnr_db(learner, view, degree) for view in views]))
    state = learner.state()
    _logger.info("step %d: %.2f dB, %d Gaussians", step, psnr_db, len(state))
    if state.best is None or psnr_db > state.best.psnr_db:
        rows = np.arange(len(state))
        state.best, state.looks_since_best = Best(step, psnr_db, state.gaussians.select(rows)), 0
    else:
        state.looks_since_best += 1
    learner.restore(state)


def _psnr_db(learner: Learner, view: TrainingView, degree: int) -> float:
    shown = np.clip(learner.render(view.camera, degree), 0, 1)
    judged = view.target.judged
    if not judged.any():
        return 0.0
    square = float(((shown - view.target.image)[judged].astype(np.float64) ** 2).mean())
    return float(-10 * np.log10(max(square, _QUANTISATION)))
