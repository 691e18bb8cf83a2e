"""How much disk the cache of a study takes, and how much of it running trials need at once."""

from __future__ import annotations

from study.config.study import StudyConfig

_WEIGHTS_BYTES = 4  # per parameter, float32
_STATE_BYTES = 12  # per parameter: its weight and the optimizer's two moments
_RECORDS_BYTES = (
    50_000_000  # ledger, MLflow's and Optuna's databases, report: some 100 kB a trial, and scores
)


def needed_bytes(parameters: int, lengths: int, trials: int) -> int:
    """Return the bytes that the cache must hold so that running trials do not evict one another's stages.

    Each trial goes on from the state of a shorter stage 1 and stores the weights of every length that it passes. This
    is an upper bound, because an entry holds only those rows of the word embeddings that occur in the texts.

    Parameters
    ----------
    parameters
        Number of parameters of the encoder with its head.
    lengths
        Number of stage-1 lengths in the search.
    trials
        Number of trials at a time.
    """
    return trials * (_STATE_BYTES + max(1, lengths) * _WEIGHTS_BYTES) * parameters


def least_bytes(parameters: int, trials: int) -> int:
    """Return the bytes that a study needs for what it cannot do without, whatever its cache holds.

    That is the state of a stage for every trial that runs at a time, two models, each as weights and as ONNX, and what
    is recorded.

    Parameters
    ----------
    parameters, trials
        As in :func:`needed_bytes`.
    """
    return (trials * _STATE_BYTES + 2 * 2 * _WEIGHTS_BYTES) * parameters + _RECORDS_BYTES


def cache_sentence(config: StudyConfig, parameters: int, trials: int) -> str:
    """Say how much disk the cache takes, and warn if it is too small for the trials that run at a time.

    Parameters
    ----------
    config
        The study.
    parameters, trials
        As in :func:`needed_bytes`.
    """
    checkpoints = trials * _STATE_BYTES * parameters
    said = (
        f"Disk: up to {config.cache_gb:g} GB for the cache, but no more than half of what is free, and up to "
        f"{checkpoints / 1e9:.1f} GB more for checkpoints of unfinished stages."
    )
    needed = needed_bytes(parameters, len(config.stage1_grid()), trials)
    if needed <= config.cache_gb * 1e9:
        return said
    return (
        f"{said} Warning: cache_gb is {config.cache_gb:g}, but with {trials} trial(s) at a time of an encoder of "
        f"{parameters / 1e6:.0f} million parameters up to {needed / 1e9:.1f} GB are in use at once: stages are "
        "removed before other trials can reuse them, and trained again. Raise cache_gb, or lower concurrency."
    )
