"""The samplers of Optuna by name, as this platform uses them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from study.config.samplers import CMA_ES, NSGA_II

# Optuna's own population of 50 would be drawn at random for as long as most searches last.
_POPULATION = 10
# Samplers that go on from what they proposed before, not from results alone: they have to see their own proposals again
# after a restart, and are told of a repeated one what is known of it, which costs nothing.
GENERATIONAL = (CMA_ES, NSGA_II)
# A repeated proposal makes the sampler propose again, so many times; a Gaussian process takes long for each.
_PROPOSALS = {"gp": 2}
_MOST_PROPOSALS = 20
# So many where hundreds of results are known: TPE then proposes again and again what it knows to be good.
_MOST_OF_MANY = 2
# On grids of at most so many configurations a Gaussian process rates all that are untried.
_RATED_AT_MOST = 4096
Untried = Callable[[], Sequence[Mapping[str, Any]]]


def proposals_at_most(name: str, knows_many: bool = False) -> int:
    """Return how often a sampler is asked until it proposes what has not been tried."""
    return _PROPOSALS.get(name, _MOST_OF_MANY if knows_many else _MOST_PROPOSALS)


class UntriedGPSampler(optuna.samplers.GPSampler):  # type: ignore[misc]
    """Optuna's Gaussian process, which takes the best of the untried configurations of a small grid.

    Optuna's own may propose the same configuration for ever, since a noisy result is worth repeating.

    Parameters
    ----------
    untried
        Returns the configurations to choose from, as the sampler sees their values.
    options
        Of Optuna's sampler.
    """

    def __init__(self, untried: Untried, **options: Any) -> None:
        super().__init__(**options)
        self._untried = untried

    def _optimize_acqf(self, acqf: Any, best_params: Any) -> Any:
        candidates = list(self._untried())
        rows = acqf.search_space.get_normalized_params(candidates, candidates)
        return rows[np.argmax(acqf.eval_acqf_no_grad(rows))]


class KnownSpaceTPESampler(optuna.samplers.TPESampler):  # type: ignore[misc]
    """Optuna's TPE for a space that is known.

    Optuna's own finds it by comparing the settings of all trials, anew in every sampler: a third of a proposal.

    Parameters
    ----------
    space
        The distributions of all settings.
    options
        Of Optuna's sampler.
    """

    def __init__(self, space: Mapping[str, BaseDistribution], **options: Any) -> None:
        super().__init__(**options)
        self._known = {name: space[name] for name in sorted(space) if not space[name].single()}

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the settings that are sampled together."""
        return self._known


def build_sampler(
    name: str,
    seed: int,
    startup_trials: int,
    earlier: Sequence[FrozenTrial] = (),
    grid_size: float = math.inf,
    untried: Untried = tuple,
    space: Mapping[str, BaseDistribution] | None = None,
) -> BaseSampler:
    """Return a sampler with a seed of its own.

    Parameters
    ----------
    name
        One of :data:`study.config.samplers.SAMPLERS`.
    seed
        Of everything that it draws.
    startup_trials
        Results before its model is used; a generational sampler has no such phase.
    earlier
        Results of an earlier study, from which CMA-ES takes its first mean and covariance. The others find them among
        the trials of the study that they propose for.
    grid_size, untried
        Number of configurations of the grid, and those of them that are untried.
    space
        The distributions of all settings; None: TPE finds them among the trials.

    References
    ----------
    ``tpe``: Watanabe, arXiv 2304.11127. ``gp``: log expected improvement, Ament et al., NeurIPS 2023. ``cma-es``: with
    margin for settings in steps, Hamano et al., GECCO 2022; its warm start is Nomura et al., AAAI 2021. ``nsga-ii``:
    Deb et al., IEEE Trans. Evol. Comp. 6, 2002.
    """
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    if name == "gp":
        options: dict[str, Any] = {"seed": seed, "n_startup_trials": startup_trials}
        options["warn_independent_sampling"] = False
        if grid_size > _RATED_AT_MOST:
            return optuna.samplers.GPSampler(**options)
        return UntriedGPSampler(untried, **options)
    if name == CMA_ES:
        return optuna.samplers.CmaEsSampler(
            seed=seed,
            with_margin=True,
            warn_independent_sampling=False,
            source_trials=[of_ordered(trial) for trial in earlier] or None,
        )
    if name == NSGA_II:
        return optuna.samplers.NSGAIISampler(seed=seed, population_size=_POPULATION)
    options = {"seed": seed, "multivariate": True, "n_startup_trials": startup_trials}
    return optuna.samplers.TPESampler(**options) if space is None else KnownSpaceTPESampler(space, **options)


def of_ordered(trial: FrozenTrial) -> FrozenTrial:
    """Return a trial with its settings that have an order, which are all that CMA-ES compares."""
    ordered: dict[str, BaseDistribution] = {
        name: distribution
        for name, distribution in trial.distributions.items()
        if isinstance(distribution, (IntDistribution, FloatDistribution)) and not distribution.single()
    }
    return create_trial(
        state=TrialState.COMPLETE,
        params={name: trial.params[name] for name in ordered},
        distributions=ordered,
        values=trial.values,
    )
