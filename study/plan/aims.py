"""What a search pursues: the gain over vanilla, the score itself, or the gain at little training time.

Races, finalists and verdicts go by paired gains whatever the search pursues; this is what its samplers learn, and what
Optuna's storage holds.
"""

from __future__ import annotations

import math

from study.config.aims import PARETO, SCORE
from study.config.study import StudyConfig
from study.record.gains import gains_of, lower_is_better, mean_of
from study.record.ledger import Ledger, TrialRecord

# The name under which Optuna keeps by how many seconds a trial trains too long; not above 0 where it does not.
CONSTRAINT = "training seconds above the limit"


def directions(config: StudyConfig) -> list[str]:
    """Return which way each of the values that the samplers learn is better."""
    first = "minimize" if lower_is_better(config.objective) else "maximize"
    return [first, "minimize"] if config.aim == PARETO else [first]


def value_names(config: StudyConfig) -> list[str]:
    """Return what the values are, for Optuna's plots."""
    first = config.objective if config.aim == SCORE else f"gain in {config.objective}"
    return [first, "training seconds of a replicate"] if config.aim == PARETO else [first]


def learnt_of(config: StudyConfig, ledger: Ledger, trial: TrialRecord) -> list[float] | None:
    """Return the values that the samplers learn of a trial that has ended; None where it has none.

    Parameters
    ----------
    config, ledger
        The study, and the ledger that holds what the trial is compared with.
    trial
        The trial.
    """
    if trial.state == "failed":
        return None
    of_replicates = gains_of(ledger, trial, config.objective)
    if config.aim == SCORE:
        of_replicates = trial.values(config.objective)
    values = [mean_of(of_replicates)]
    if config.aim == PARETO:
        values.append(math.nan if trial.training_seconds is None else trial.training_seconds)
    return values if all(map(math.isfinite, values)) else None


def constraints_of(config: StudyConfig, trial: TrialRecord) -> dict[str, float] | None:
    """Return by how much a trial breaks the study's limit, as Optuna takes it; None where there is no limit."""
    if config.max_seconds_per_trial is None:
        return None
    seconds = 0.0 if trial.training_seconds is None else trial.training_seconds
    return {CONSTRAINT: seconds - config.max_seconds_per_trial}
