"""One trial as it travels between driver and worker: the job that is handed out, and the record that comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trainables.settings import TrialSettings


@dataclass(frozen=True, kw_only=True)
class TrialJob:
    """One unit of work: some replicates of one trial.

    Attributes
    ----------
    trial_id, phase
        The trial in the study's ledger.
    settings
        Its configuration.
    replicates
        Replicate indices in the order in which they are run.
    objective
        Metric whose gain is reported, e.g. ``val/macro_f1``.
    reference
        The reference vanilla's objective per replicate, where the job is raced on its gain; empty where there is no
        reference.
    known
        The objective of replicates that an earlier launch finished; they are not run again.
    threads
        Processor threads of one worker.
    """

    trial_id: str
    phase: str
    settings: TrialSettings
    replicates: tuple[int, ...]
    objective: str
    reference: Mapping[int, float] = field(default_factory=dict)
    known: Mapping[int, float] = field(default_factory=dict)
    threads: int = 1


@dataclass
class ReplicateRecord:
    """One arm on one replicate.

    Attributes
    ----------
    replicate
        Its index.
    metrics
        Flat metrics (``val/macro_f1``, …).
    seconds
        Wall-clock of everything that the replicate did.
    diagnostics
        Steps, padding, cache hits and the like.
    posthoc
        The metrics after post-hoc logit adjustment of the same logits (Menon et al. 2021, eq. 9), which costs no
        training.
    """

    replicate: int
    metrics: dict[str, float]
    seconds: float
    diagnostics: dict[str, float] = field(default_factory=dict)
    posthoc: dict[str, float] = field(default_factory=dict)
