"""What mattered in a search: how much of the variance of the gains each setting explains, as Optuna estimates it."""

from __future__ import annotations

import optuna
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import TrialState

# Of fewer trials nothing can be said that a reader should hear.
FEWEST_TRIALS = 8


def importances(study: optuna.Study, seed: int = 0) -> dict[str, float] | None:
    """Return the share of the variance of the gains that each setting explains on its own, the largest first.

    Parameters
    ----------
    study
        The trials of one search, those that were raced out included.
    seed
        Of the random forest, so that the same trials give the same shares.

    Returns
    -------
    dict
        By setting, from 1 down; they add up to 1. None where fewer than :data:`FEWEST_TRIALS` trials have a gain, or
        where all gains are equal.

    References
    ----------
    Hutter, Hoos & Leyton-Brown, An efficient approach for assessing hyperparameter importance, ICML 2014.
    """
    scored = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(scored) < FEWEST_TRIALS or len({trial.value for trial in scored}) == 1:
        return None
    found = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=seed))
    return {name: round(float(share), 6) for name, share in found.items()}
